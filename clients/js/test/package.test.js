// The package as it would be published: packed, unpacked, and used by whoever loads modules in one way
// or another.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { commonjs } from '../build.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const npm = (...args) => run('npm', args, { cwd: root });

let user; // a directory of someone who has installed it, beside what the types need

before(async () => {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  user = await mkdtemp(join(root, 'node_modules/.cache/user-'));
  const { stdout } = await npm('pack', '--json', '--pack-destination', user);
  await run('tar', ['-xzf', JSON.parse(stdout)[0].filename], { cwd: user });
  await mkdir(join(user, 'node_modules'));
  await cp(join(user, 'package'), join(user, 'node_modules/fanfare-client'), { recursive: true });
  await rm(join(user, 'package'), { recursive: true });
});
after(() => user && rm(user, { recursive: true, force: true }));

const names = ['', '/element', '/htmx', '/react', '/source', '/svelte', '/turbo', '/vue'];

test('the CommonJS files are what the sources make', async () => {
  const made = await commonjs();
  assert.deepEqual((await readdir(join(root, 'cjs'))).sort(), [...made.keys()].sort());
  for (const [name, text] of made) {
    assert.equal(await readFile(join(root, 'cjs', name), 'utf8'), text, `cjs/${name}: run npm run build`);
  }
});

test('the package holds what is meant, and nothing else', async () => {
  const { stdout } = await npm('pack', '--dry-run', '--json');
  const [{ files, size }] = JSON.parse(stdout);
  const tops = new Set(files.map(({ path }) => path.split('/')[0]));
  assert.deepEqual([...tops].sort(), ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'cjs', 'package.json', 'src']);
  assert.ok(size < 60_000, `${size} bytes`);
});

test('it can be imported, and required', async () => {
  // React is not there: what needs it says so, and all else loads.
  for (const name of names.filter((name) => name !== '/react')) {
    const [esm, cjs] = [`import * as it from`, `const it = require`];
    const shows = 'console.log(Object.keys(it).filter((key) => !/default|module/.test(key)).sort().join())';
    await writeFile(join(user, 'main.mjs'), `${esm} 'fanfare-client${name}';\n${shows}`);
    await writeFile(join(user, 'main.cjs'), `${cjs}('fanfare-client${name}');\n${shows}`);
    const shown = [];
    for (const file of ['main.mjs', 'main.cjs']) {
      const { stdout } = await run(process.execPath, ['--no-experimental-require-module', file], { cwd: user });
      shown.push(stdout.trim());
    }
    assert.ok(shown[0], name);
    assert.equal(shown[0], shown[1], name);
  }
});

for (const [module, moduleResolution, file] of [
  ['CommonJS', 'node10', 'main.ts'],
  ['ES2022', 'bundler', 'main.ts'],
  ['Node16', 'node16', 'main.mts'],
  ['Node16', 'node16', 'main.cts'],
  ['NodeNext', 'nodenext', 'main.mts'],
]) {
  test(`its types are found by ${moduleResolution} from ${file}`, async () => {
    const imports = names.map((name, n) => `import * as it${n} from 'fanfare-client${name}';`);
    const used = names.map((_, n) => `export const all${n} = it${n};`);
    const typed = "it0.connect('/sse').on((event) => event.data.trim());\n// @ts-expect-error: a number\nit0.connect(1);";
    await writeFile(join(user, file), [...imports, ...used, typed].join('\n'));
    const options = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'dom'], types: [] };
    const config = { compilerOptions: { ...options, module, moduleResolution }, files: [file] };
    await writeFile(join(user, 'tsconfig.json'), JSON.stringify(config));
    await run(join(root, 'node_modules/.bin/tsc'), ['--project', user]).catch(({ stdout, message }) => {
      throw new Error(stdout || message);
    });
  });
}
