// clients/js weighs what its README says.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const client = (path) => fileURLToPath(new URL(`../../clients/js/${path}`, import.meta.url));

test('the package is heavier than it says', async () => {
  const readme = await readFile(client('README.md'), 'utf8');
  const [, said] = /weighs ([\d.]+) KB/.exec(readme);
  const options = { bundle: true, format: 'esm', minify: true, write: false };
  const { outputFiles } = await build({ ...options, entryPoints: [client('src/index.js')] });
  const bytes = gzipSync(outputFiles[0].contents).length;
  assert.ok(bytes <= said * 1000 && bytes > said * 1000 - 200, `${bytes} bytes, not ${said} KB`);
});
