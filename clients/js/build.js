// Makes `cjs/`, for whoever calls `require`: each module of `src/` as CommonJS, beside its types. It is
// kept in the repository, so that nobody needs this script but who changes `src/`.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { transform } from 'esbuild';

const source = new URL('src/', import.meta.url);

// The files of `cjs/` by name.
export async function commonjs() {
  const files = new Map([['package.json', '{ "type": "commonjs" }\n']]);
  for (const name of (await readdir(source)).sort()) {
    const text = await readFile(new URL(name, source), 'utf8');
    const isTypes = name.endsWith('.d.ts');
    const { code } = isTypes ? { code: text } : await transform(text, { format: 'cjs', target: 'node18' });
    files.set(name, code);
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = new URL('cjs/', import.meta.url);
  await rm(target, { recursive: true, force: true });
  await mkdir(target);
  for (const [name, text] of await commonjs()) await writeFile(new URL(name, target), text);
}
