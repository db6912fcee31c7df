// Runs a script of a guide as a page of the hub's own origin, in Chromium, and prints the page's text
// each time that it changes. Arguments: the hub's address, the script.

import { build } from 'esbuild';

import { open } from '../../clients/js/test/support/browser.js';

const [, , hub, script] = process.argv;
const { outputFiles } = await build({
  entryPoints: [script],
  bundle: true,
  format: 'esm',
  write: false,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
});
const browser = await open();
process.once('SIGTERM', () => browser.close());
const page = await browser.newPage();
page.on('pageerror', (error) => console.error(error));
await page.route(`${hub}/in-page/*`, (route) => {
  const isScript = route.request().url().endsWith('.js');
  return route.fulfill({
    contentType: isScript ? 'text/javascript' : 'text/html',
    body: isScript
      ? outputFiles[0].text
      : '<!doctype html><body><div id="app"></div><script type="module" src="page.js"></script>',
  });
});
await page.exposeFunction('print', (text) => console.log(text));
await page.addInitScript(() => {
  addEventListener('DOMContentLoaded', () => {
    const print = () => window.print(document.body.innerText);
    new MutationObserver(print).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
});
await page.goto(`${hub}/in-page/`);
