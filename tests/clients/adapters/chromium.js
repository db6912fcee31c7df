// Chromium's own EventSource.

import { open } from '../../../clients/js/test/support/browser.js';

const url = process.argv[2];
const browser = await open();
process.once('SIGTERM', () => browser.close());
const page = await browser.newPage();
await page.exposeFunction('heard', (event) => console.log(JSON.stringify(event)));
// A page of the hub's that does nothing.
await page.goto(new URL('/healthz', url).href);
await page.evaluate((url) => {
  const source = new EventSource(url);
  for (const type of ['message', 'shipped', 'fanfare.gap', 'fanfare.expired']) {
    source.addEventListener(type, ({ lastEventId, data }) => heard({ id: lastEventId, type, data }));
  }
}, url);
