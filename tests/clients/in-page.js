// Shows a page of a guide in Chromium, and prints its text each time that it changes, and what its scripts log. Arguments: the hub's
// address, and the page, or a script for an empty one, which are then shown at the hub's own origin; or the
// address of a page that something else serves.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { open } from '../../clients/js/test/support/browser.js';

// What pages name as lying beside them.
const BESIDE = {
  'htmx.min.js': 'htmx.org/dist/htmx.min.js',
  'sse.min.js': 'htmx-ext-sse/dist/sse.min.js',
  'datastar.js': '@starfederation/datastar/dist/bundles/datastar.js',
};

const [, , address, source] = process.argv;

async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    write: false,
    preserveSymlinks: true,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  return outputFiles[0].text;
}

const isPage = source?.endsWith('.html');
const html = isPage
  ? await readFile(source, 'utf8')
  : '<!doctype html><body><div id="app"></div><script type="module" src="page.js"></script>';
const script = source && !isPage ? await bundle(source) : undefined;

async function beside(name) {
  if (name === 'page.js') return script;
  const file = fileURLToPath(new URL(`node_modules/${BESIDE[name]}`, import.meta.url));
  // Datastar's is in several modules.
  return name === 'datastar.js' ? bundle(file) : readFile(file, 'utf8');
}

const browser = await open();
process.once('SIGTERM', () => browser.close());
const page = await browser.newPage();
page.on('pageerror', (error) => console.error(error));
page.on('console', (message) => console.log(message.text()));
await page.route(`${address}/in-page/*`, async (route) => {
  const name = basename(new URL(route.request().url()).pathname);
  return route.fulfill(
    name.endsWith('.js')
      ? { contentType: 'text/javascript', body: await beside(name) }
      : { contentType: 'text/html', body: html },
  );
});
await page.exposeFunction('print', (text) => console.log(text));
await page.addInitScript(() => {
  addEventListener('DOMContentLoaded', () => {
    const print = () => window.print(document.body.innerText);
    new MutationObserver(print).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
});
await page.goto(source ? `${address}/in-page/` : address);
