// What the guide says of clients that do not come back by themselves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { EventSource } from 'undici';

import { connect } from '../../clients/js/src/index.js';
import { open } from '../../clients/js/test/support/browser.js';
import { directory, Hub, until } from '../../clients/js/test/support/hub.js';

test('undici 6 gives up when an attempt finds no hub, and clients/js over it does not', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t), '--retry', '100ms');
  const source = new EventSource(`${hub.url}events`);
  const events = connect(hub.url, { EventSource, retry: 100 });
  const heard = [];
  events.on(({ data }) => heard.push(data));
  t.after(() => (source.close(), events.close()));
  await hub.subscribers(2);
  await hub.publish('1');
  await until(() => heard.length === 1);
  await hub.kill();
  await until(() => source.readyState === EventSource.CLOSED, 'the end of undici 6');
  await hub.again();
  await hub.publish('2');
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ['1', '2']);
});

test('Datastar takes a clean end for the end, unless it is told to ask again', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t), '--retry', '100ms');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(import.meta.resolve('@starfederation/datastar/bundles/datastar'))],
    bundle: true,
    format: 'esm',
    write: false,
  });
  const browser = await open();
  t.after(() => browser.close());
  const show = async (attributes) => {
    const page = await browser.newPage();
    await page.route('**/page/*', (route) =>
      route.request().url().endsWith('.js')
        ? route.fulfill({ contentType: 'text/javascript', body: outputFiles[0].text })
        : route.fulfill({
            contentType: 'text/html',
            body: `<!doctype html><body ${attributes}><p id="out"></p><script type="module" src="d.js"></script>`,
          }),
    );
    await page.goto(`${new URL('/page/', hub.url)}`);
    return page;
  };
  const get = "@get('/sse/events?topic=t')";
  const publish = (text) =>
    hub.publish(`fragments <p id="out">${text}</p>`, { topic: 't', event: 'datastar-merge-fragments' });
  const says = (page, text) => page.waitForFunction((text) => document.body.innerText.includes(text), text);

  const once = await show(`data-on-load="${get}"`);
  const again = await show(
    `data-on-load="${get}" data-on-datastar-sse="evt.detail.type === 'finished' && setTimeout(() => ${get}, 100)"`,
  );
  await hub.subscribers(2);
  await publish('first');
  for (const page of [once, again]) await says(page, 'first');
  // A connection that breaks is another matter: both come back, after the last id.
  await hub.kill('SIGKILL');
  await hub.again();
  await publish('second');
  for (const page of [once, again]) await says(page, 'second');
  await hub.kill('SIGTERM');
  await hub.again();
  await hub.subscribers(1);
  await publish('third');
  await says(again, 'third');
});
