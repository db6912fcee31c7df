// The hooks, the store, the element and the adapters of clients/js, each in a page of the hub's own
// origin, in Chromium: an event of a type of its own is shown, and after a restart the gap and what
// comes next.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { open } from '../../clients/js/test/support/browser.js';
import { Hub, SECRET, token, until } from '../../clients/js/test/support/hub.js';

let browser;
before(async () => (browser = await open()));
after(() => browser?.close());

// A page of the hub's, and what it says.
async function show(t, hub, { script, body = '<div id="app"></div>' }) {
  const { outputFiles } = await build({
    stdin: { contents: script, loader: 'jsx', resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    format: 'esm',
    write: false,
    jsx: 'automatic',
    preserveSymlinks: true,
    // clients/js has one of its own, for its types; an application has one only.
    alias: { vue: fileURLToPath(new URL('node_modules/vue', import.meta.url)) },
    conditions: ['browser'],
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const page = await browser.newPage();
  t.after(() => page.close());
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  await page.route(`${new URL('/page/', hub.url)}*`, (route) =>
    route.request().url().endsWith('.js')
      ? route.fulfill({ contentType: 'text/javascript', body: outputFiles[0].text })
      : route.fulfill({ contentType: 'text/html', body: `<!doctype html><body>${body}<script type="module" src="page.js"></script>` }),
  );
  await page.goto(`${new URL('/page/', hub.url)}`);
  return page;
}

const says = (page, text) =>
  page.waitForFunction((text) => document.body.innerText.includes(text), text, { timeout: 60_000 });

const VIEWS = {
  React: {
    script: `
      import { createRoot } from 'react-dom/client';
      import { StrictMode } from 'react';
      import { useFanfare } from 'fanfare-client/react';
      function View() {
        const { events, state, gap } = useFanfare('/sse', { topics: 't', retry: 100, onEvent() {} });
        return <>{state.name} {gap?.reason} {events.map(({ id, data }) => <p key={id}>{data}</p>)}</>;
      }
      createRoot(document.getElementById('app')).render(<StrictMode><View /></StrictMode>);`,
  },
  Vue: {
    script: `
      import { createApp, h } from 'vue';
      import { useFanfare } from 'fanfare-client/vue';
      createApp({
        setup() {
          const { events, state, gap } = useFanfare('/sse', () => ({ topics: 't', retry: 100 }));
          return () => h('div', [state.value.name, ' ', gap.value?.reason,
            ...events.value.map(({ id, data }) => h('p', { key: id }, data))]);
        },
      }).mount('#app');`,
  },
  Svelte: {
    script: `
      import { derived } from 'svelte/store';
      import { fanfare } from 'fanfare-client/svelte';
      const feed = fanfare('/sse', { topics: 't', retry: 100 });
      derived(feed, ({ events, state, gap }) =>
        [state.name, gap?.reason, ...events.map(({ data }) => data)].join(' '),
      ).subscribe((text) => (document.getElementById('app').textContent = text));`,
  },
  'the element': {
    body: '<fanfare-feed topic="t" shared><template>[<b data-fanfare="type"></b>] <i data-fanfare="data"></i></template></fanfare-feed>',
    script: `
      import { defineFeed } from 'fanfare-client/element';
      const feed = document.querySelector('fanfare-feed');
      const say = (text) => document.body.append(text, ' ');
      feed.addEventListener('fanfare-gap', ({ detail }) => say(detail.reason));
      feed.addEventListener('fanfare-state', ({ detail }) => say(detail.name));
      feed.addEventListener('fanfare-event', ({ detail }) => say(detail.data));
      feed.options = { retry: 100 };
      defineFeed();`,
  },
  "htmx's sse extension": {
    body: `<main hx-ext="sse" sse-connect="/sse/events?topic=t">
      <p sse-swap="of a type" hx-swap="beforeend"></p>
      <p hx-get="/page/gap" hx-trigger="sse:fanfare.gap" hx-swap="innerHTML"></p></main><p id="app"></p>`,
    script: `
      import htmx from 'htmx.org';
      import { connectHtmx } from 'fanfare-client/htmx';
      connectHtmx(htmx, '/sse', { retry: 100 });
      window.htmx = htmx;
      const say = (text) => document.getElementById('app').append(text, ' ');
      document.body.addEventListener('htmx:sseOpen', () => say('live'));
      document.body.addEventListener('htmx:configRequest', (event) => { say('unknown_epoch'); event.preventDefault(); });
      await import('htmx-ext-sse');`,
  },
  'Turbo Streams': {
    wrap: (data) => `<turbo-stream action="append" target="app"><template><p>${data}</p></template></turbo-stream>`,
    type: undefined,
    script: `
      import * as Turbo from '@hotwired/turbo';
      import { connectTurbo } from 'fanfare-client/turbo';
      connectTurbo(Turbo, '/sse/events?topic=t', { retry: 100, onGap: ({ reason }) => document.body.append(reason) });
      document.body.append('live');`,
  },
};

for (const [name, view] of Object.entries(VIEWS)) {
  test(`${name} shows what is published, and hears of a gap`, async (t) => {
    const hub = await Hub.start(t);
    const page = await show(t, hub, view);
    const { wrap = (data) => data } = view;
    const draft = { topic: 't', event: 'type' in view ? view.type : 'of a type' };
    await says(page, 'live');
    await hub.subscribers(1);
    await hub.publish(wrap('the first'), draft);
    await says(page, 'the first');
    await hub.kill();
    await hub.again();
    await hub.publish(wrap('the second'), draft);
    await says(page, 'the second');
    await says(page, 'unknown_epoch');
    assert.deepEqual(page.problems, []);
    await hub.subscribers(1);
    await page.goto('about:blank');
    await hub.subscribers(0);
  });
}

// What asks for other things than it did: each sets `window.become` to what gives it other options.
const HOOKS = {
  React: `
    import { createRoot } from 'react-dom/client';
    import { useState } from 'react';
    import { useFanfare } from 'fanfare-client/react';
    function View() {
      const [options, setOptions] = useState(FIRST);
      window.become = setOptions;
      const { events, state } = useFanfare('/sse', { topics: 't', retry: 100, ...options });
      return <>{state.name} {state.reason?.status} {events.map(({ id, data }) => <p key={id}>{data}</p>)}</>;
    }
    createRoot(document.getElementById('app')).render(<View />);`,
  Vue: `
    import { createApp, h, ref } from 'vue';
    import { useFanfare } from 'fanfare-client/vue';
    const options = ref(FIRST);
    window.become = (next) => (options.value = next);
    createApp({
      setup() {
        const { events, state } = useFanfare('/sse', () => ({ topics: 't', retry: 100, ...options.value }));
        return () => h('div', [state.value.name, ' ', state.value.reason?.status,
          ...events.value.map(({ id, data }) => h('p', { key: id }, data))]);
      },
    }).mount('#app');`,
};

for (const [name, script] of Object.entries(HOOKS)) {
  test(`a token that comes after ${name}'s first rendering is shown to the hub`, async (t) => {
    const hub = await Hub.start(t, '--jwt-secret', SECRET);
    const page = await show(t, hub, { script: `const FIRST = {};${script}` });
    await says(page, 'closed 401');
    await page.evaluate((token) => become({ token }), token({ subscribe: ['elsewhere'] }));
    await says(page, 'closed 403');
    await page.evaluate((token) => become({ token }), token());
    await says(page, 'live');
    await page.evaluate((token) => become({ token: () => token }), token({ subscribe: ['elsewhere'] }));
    await says(page, 'closed 403');
    // What draws tickets, too, is used once it is there.
    await page.evaluate((bearer) => {
      const headers = { authorization: `Bearer ${bearer}` };
      const ticket = async () => (await (await fetch('/sse/ticket', { method: 'POST', headers })).json()).ticket;
      become({ ticket });
    }, token());
    await says(page, 'live');
    await hub.publish('heard', { topic: 't' }, { authorization: `Bearer ${token()}` });
    await says(page, 'heard');
    assert.deepEqual(page.problems, []);
  });

  test(`${name} asks anew for another interval, and not for another function`, async (t) => {
    const hub = await Hub.start(t, '--jwt-secret', SECRET);
    const first = JSON.stringify(token());
    const page = await show(t, hub, { script: `const FIRST = { token: () => ${first}, interval: 20 };${script}` });
    const asked = [];
    page.on('request', (request) => request.url().includes('/sse/events') && asked.push(request.url()));
    await says(page, 'live');
    asked.length = 0;
    await page.evaluate((token) => become({ token: () => token, interval: 20 }), token());
    await page.evaluate((token) => become({ token: () => token, interval: 30 }), token());
    await until(() => asked.some((url) => url.includes('interval=30')), 'another interval');
    await says(page, 'live');
    assert.deepEqual(asked.filter((url) => !url.includes('interval=30')), []);
  });
}

test('the element doubles nothing as it moves or is asked to share, and begins anew with another topic', async (t) => {
  const hub = await Hub.start(t);
  for (const message of ['one', 'two']) await hub.publish(message, { topic: 't' });
  await hub.publish('other', { topic: 'u' });
  const page = await show(t, hub, {
    body: '<fanfare-feed topic="t" since="earliest"></fanfare-feed><main></main>',
    script: `
      import { defineFeed } from 'fanfare-client/element';
      defineFeed();
      window.feed = document.querySelector('fanfare-feed');
      window.shown = () => [...feed.querySelectorAll('.fanfare-event')].map(({ textContent }) => textContent).join();`,
  });
  const shows = (list) => page.waitForFunction((list) => window.shown?.() === list, list, { timeout: 60_000 });
  await shows('one,two');
  await page.evaluate(() => document.querySelector('main').append(feed));
  await hub.publish('three', { topic: 't' });
  await says(page, 'three');
  assert.equal(await page.evaluate(() => shown()), 'one,two,three');
  await page.evaluate(() => feed.setAttribute('shared', 'me'));
  await hub.publish('four', { topic: 't' });
  await says(page, 'four');
  // What is missed while it is nowhere comes as it returns.
  await page.evaluate(() => feed.remove());
  await hub.subscribers(0);
  await hub.publish('five', { topic: 't' });
  await page.evaluate(() => document.body.append(feed));
  await shows('one,two,three,four,five');
  await page.evaluate(() => feed.setAttribute('topic', 'u'));
  await says(page, 'other');
});

test("htmx's next source for the same stream begins where it is opened, unless the last was refused", async (t) => {
  const hub = await Hub.start(t, '--jwt-secret', SECRET);
  const bearer = { authorization: `Bearer ${token()}` };
  const page = await show(t, hub, {
    script: `
      import { connectHtmx } from 'fanfare-client/htmx';
      const htmx = {};
      window.allowed = true;
      const token = async () => {
        if (!allowed) throw Object.assign(new Error('signed out'), { status: 401 });
        return ${JSON.stringify(token())};
      };
      connectHtmx(htmx, '/sse', { retry: 100, token });
      window.open = () => {
        const source = htmx.createEventSource('/sse/events?topic=t');
        window.heard = [];
        source.onmessage = ({ data }) => heard.push(data);
        window.source = source;
      };
      open();`,
  });
  const hears = (list) => page.waitForFunction((list) => heard.join() === list, list, { timeout: 60_000 });
  await hub.subscribers(1);
  await hub.publish('one', { topic: 't' }, bearer);
  await hears('one');
  await page.evaluate(() => (allowed = false));
  const headers = { authorization: `Bearer ${token({ sub: 'root', admin: true })}` };
  await fetch(new URL('subscribers?subject=alice', hub.url), { method: 'DELETE', headers });
  await page.waitForFunction(() => source.readyState === 2);
  await hub.publish('two', { topic: 't' }, bearer);
  await page.evaluate(() => ((allowed = true), open()));
  await hears('two');
  await page.evaluate(() => source.close());
  await hub.subscribers(0);
  await page.evaluate(() => open());
  await hub.subscribers(1);
  await hub.publish('three', { topic: 't' }, bearer);
  await hears('three');
  assert.deepEqual(page.problems, []);
});

test('Turbo refreshes the page after a gap, if nobody says otherwise', async (t) => {
  const hub = await Hub.start(t);
  const script = `
    import * as Turbo from '@hotwired/turbo';
    import { connectTurbo } from 'fanfare-client/turbo';
    document.addEventListener('turbo:before-stream-render', ({ target }) => document.body.append(target.action));
    connectTurbo(Turbo, '/sse/events?topic=t', { retry: 100 });`;
  const page = await show(t, hub, { script });
  await hub.subscribers(1);
  await hub.publish('<turbo-stream action="append" target="app"><template>one</template></turbo-stream>', { topic: 't' });
  await says(page, 'one');
  await hub.kill();
  await hub.again();
  await says(page, 'refresh');
});

test('a page without a build has the element from the hub itself', async (t) => {
  const hub = await Hub.start(t);
  const page = await browser.newPage();
  t.after(() => page.close());
  const html = '<!doctype html><script type="module" src="/sse/fanfare.js"></script><fanfare-feed topic="t"></fanfare-feed>';
  await page.route('**/page/', (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await page.goto(`${new URL('/page/', hub.url)}`);
  await hub.subscribers(1);
  await hub.publish('<b>without a build</b>', { topic: 't' });
  await says(page, '<b>without a build</b>');
});
