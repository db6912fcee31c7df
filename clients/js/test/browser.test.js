// In Chromium, against the real hub: what only browsers have.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { data, heard, listen, open, Site, state, tab } from './support/browser.js';
import { directory, Hub, SECRET, token, until } from './support/hub.js';

let browser;
before(async () => (browser = await open()));
after(() => browser?.close());

// A hub, a site that may use it, and a profile of the test's own.
async function set(t, ...args) {
  const site = await Site.start(t);
  const hub = await Hub.start(t, '--allow-origin', site.origin, ...args);
  site.allow(hub);
  const context = await browser.newContext();
  t.after(() => context.close());
  return { hub, site, context };
}

test('a page listens, and goes on where it was when the hub restarts', async (t) => {
  const { hub, site, context } = await set(t, '--data', await directory(t));
  const page = await tab(context, site, hub, { topics: 't' });
  await state(page, 'live');
  await hub.publish('1', { topic: 't', event: 'of any type' });
  await heard(page, '1');
  await hub.kill();
  await state(page, 'reconnecting');
  assert.ok(await page.evaluate(() => 'at' in heard.events.state));
  await hub.again();
  await hub.publish('2', { topic: 't' });
  await heard(page, '2');
  assert.deepEqual(await data(page), ['1', '2']);
  assert.deepEqual(await page.evaluate(() => heard.gaps), []);
  assert.deepEqual(page.problems, []);
});

test('what no retry can mend is told, though an EventSource does not tell it', async (t) => {
  const { hub, site, context } = await set(t, '--jwt-secret', SECRET);
  const page = await tab(context, site, hub);
  await state(page, 'closed');
  assert.equal(await page.evaluate(() => heard.events.state.reason.status), 401);
  await hub.subscribers(0);
});

test('a listener that throws is reported, and the others hear', async (t) => {
  const { hub, site, context } = await set(t);
  const page = await tab(context, site, hub);
  await page.evaluate(() => {
    heard.events.on(() => {
      throw new Error('of a listener');
    });
    heard.events.on((event) => heard.data.push(`${event.data} again`));
  });
  await state(page, 'live');
  await hub.publish('1');
  await heard(page, '1 again');
  await until(() => page.problems.length === 1);
  assert.deepEqual(page.problems, ['of a listener']);
});

test('a network that comes back is used at once', async (t) => {
  const { hub, site, context } = await set(t);
  const page = await tab(context, site, hub, { retry: 3_600_000 });
  await state(page, 'live');
  await hub.kill();
  await state(page, 'reconnecting');
  await context.setOffline(true);
  await hub.again();
  await context.setOffline(false);
  await state(page, 'live');
});

test('tabs share one connection, which ends with the last of them', async (t) => {
  const { hub, site, context } = await set(t);
  const options = { topics: ['a', 'b'], shared: true };
  const tabs = [];
  for (let n = 0; n < 3; n += 1) {
    const page = await tab(context, site, hub, options);
    tabs.push(page);
    await state(page, 'live');
  }
  const other = await tab(context, site, hub, { topics: 'c', shared: true });
  const named = await tab(context, site, hub, { topics: 'c', shared: 'bob' });
  for (const page of [other, named]) await state(page, 'live');
  await hub.subscribers(3);

  for (let n = 0; n < 100; n += 1) await hub.publish(String(n), { topic: 'ab'[n % 2] });
  for (const page of tabs) {
    await heard(page, '99');
    assert.deepEqual(await data(page), Array.from({ length: 100 }, (_, n) => String(n)));
  }
  assert.deepEqual(await data(other), []);

  await tabs[0].close();
  await tabs[1].evaluate(() => heard.events.close());
  await hub.publish('still there', { topic: 'a' });
  await heard(tabs[2], 'still there');
  await hub.subscribers(3);
  await tabs[2].goto('about:blank');
  await hub.subscribers(2);
  await other.close();
  await named.close();
  await hub.subscribers(0);
});

test('a tab that dies without a word leaves nothing behind', async (t) => {
  const { hub, site, context } = await set(t);
  const survivor = await tab(context, site, hub, { topics: 'a', shared: true });
  await state(survivor, 'live');
  const victim = await tab(context, site, hub, { topics: 'b', shared: true });
  await state(victim, 'live');
  await hub.subscribers(2);
  const session = await context.newCDPSession(victim);
  session.send('Page.crash').catch(() => {});
  await hub.subscribers(1);
  await hub.publish('1', { topic: 'a' });
  await heard(survivor, '1');
});

test('tabs survive their worker, and lose nothing', async (t) => {
  const { hub, site, context } = await set(t);
  const tabs = [];
  for (let n = 0; n < 2; n += 1) tabs.push(await tab(context, site, hub, { shared: true }));
  for (const page of tabs) await state(page, 'live');
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  for (let round = 2; round < 5; round += 1) {
    await endWorker();
    await hub.publish(String(round));
    for (const page of tabs) await heard(page, String(round));
  }
  for (const page of tabs) assert.deepEqual(await data(page), ['1', '2', '3', '4']);
  await hub.subscribers(1);
});

test('a tab that comes with an id catches up, and then shares', async (t) => {
  const { hub, site, context } = await set(t);
  const ids = [];
  for (let n = 0; n < 20; n += 1) ids.push(await hub.publish(String(n)));
  const first = await tab(context, site, hub, { shared: true });
  await state(first, 'live');
  const late = await tab(context, site, hub, { shared: true, since: ids[9] });
  const all = await tab(context, site, hub, { shared: true, since: 'earliest' });
  const live = await tab(context, site, hub, { shared: true });
  await heard(late, '19');
  await state(live, 'live');
  for (let n = 20; n < 120; n += 1) ids.push(await hub.publish(String(n)));
  const from = async (page, first) => {
    await heard(page, '119');
    const numbers = Array.from({ length: 120 - first }, (_, n) => String(first + n));
    assert.deepEqual(await data(page), numbers);
  };
  await from(first, 20);
  await from(late, 10);
  await from(all, 0);
  await from(live, 20);
  await hub.subscribers(1);
  // Where the shared connection stands already, nothing has to be caught up with.
  const here = await tab(context, site, hub, { shared: true, since: ids.at(-1) });
  await state(here, 'live');
  await hub.subscribers(1);
  await hub.publish('end');
  await heard(here, 'end');
  assert.deepEqual(await data(here), ['end']);
});

test('the shared connection resumes after a restart, and tells every tab of a gap', async (t) => {
  const { hub, site, context } = await set(t);
  const tabs = [];
  for (let n = 0; n < 2; n += 1) tabs.push(await tab(context, site, hub, { shared: true, retry: 3_600_000 }));
  for (const page of tabs) await state(page, 'live');
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  await hub.kill();
  for (const page of tabs) await state(page, 'reconnecting');
  await hub.again();
  await hub.publish('2');
  await tabs[1].evaluate(() => heard.events.reconnect());
  for (const page of tabs) {
    await heard(page, '2');
    assert.deepEqual(await page.evaluate(() => heard.gaps), ['unknown_epoch']);
    assert.deepEqual(await data(page), ['1', '2']);
  }
});

test('tickets of a shared connection are drawn by whichever tab is there', async (t) => {
  const { hub, site, context } = await set(t, '--jwt-secret', SECRET);
  let drawn = 0;
  await context.exposeFunction('mint', () => {
    drawn += 1;
    return token({ seconds: 2 });
  });
  const options = { shared: 'alice', token: 'mint' };
  const [first, second] = [await tab(context, site, hub, options), await tab(context, site, hub, options)];
  for (const page of [first, second]) await state(page, 'live');
  const bearer = { authorization: `Bearer ${token()}` };
  const sent = [];
  const publishUntil = async (enough) => {
    while (drawn < enough) {
      sent.push(String(sent.length));
      await hub.publish(sent.at(-1), {}, bearer);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await publishUntil(3);
  await second.close();
  await publishUntil(drawn + 2);
  await heard(first, sent.at(-1));
  assert.deepEqual(await data(first), sent);
  assert.deepEqual(await first.evaluate(() => heard.gaps), []);
});

test('a refusal reaches every tab', async (t) => {
  const { hub, site, context } = await set(t, '--jwt-secret', SECRET);
  await context.exposeFunction('mint', () => token({ subscribe: ['elsewhere'] }));
  const options = { shared: 'alice', token: 'mint' };
  const tabs = [await tab(context, site, hub, options), await tab(context, site, hub, options)];
  for (const page of tabs) {
    await state(page, 'closed');
    const { status, final, name } = await page.evaluate(() => {
      const { status, final, name } = heard.events.state.reason;
      return { status, final, name };
    });
    assert.deepEqual([status, final, name], [403, true, 'FanfareError']);
  }
  const page = await context.newPage();
  await page.goto(site.origin);
  await assert.rejects(listen(page, hub, { shared: true, token: 'mint' }), /whose connection/);
});

test('where no worker can be had, each tab has a connection of its own', async (t) => {
  const { hub, site, context } = await set(t);
  const without = { before: () => delete window.SharedWorker };
  const tabs = [];
  for (let n = 0; n < 2; n += 1) tabs.push(await tab(context, site, hub, { shared: true }, without));
  site.missing.add('worker.js');
  for (let n = 0; n < 2; n += 1) tabs.push(await tab(context, site, hub, { shared: true }));
  for (const page of tabs) await state(page, 'live');
  await hub.subscribers(4);
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  for (const page of tabs) assert.deepEqual(page.problems, []);
});

test('without locks tabs share all the same', async (t) => {
  const { hub, site, context } = await set(t);
  const before = () => Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
  const tabs = [];
  for (let n = 0; n < 2; n += 1) tabs.push(await tab(context, site, hub, { shared: true }, { before }));
  for (const page of tabs) await state(page, 'live');
  await hub.subscribers(1);
  for (const page of tabs) await page.close();
  await hub.subscribers(0);
});

test('a page that was put aside goes on where it was when the reader comes back', async (t) => {
  const { hub, site, context } = await set(t);
  for (const shared of [true, false]) {
    const page = await tab(context, site, hub, { shared });
    await state(page, 'live');
    await hub.publish('1');
    await heard(page, '1');
    await page.goto('about:blank');
    // The browser may put the worker aside too, before it has heard that nobody is left.
    if (!shared) await hub.subscribers(0);
    await hub.publish('2');
    await page.goBack({ waitUntil: 'commit' }); // nothing is loaded
    // The very page, not another of its address: what it had heard is still there.
    await heard(page, '2');
    assert.deepEqual(await data(page), ['1', '2']);
    await hub.subscribers(1);
    await page.close();
    await hub.subscribers(0);
  }
});

// Ends the shared worker, as its process's death would.
async function endWorker() {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  const workers = targetInfos.filter(({ type }) => type === 'shared_worker');
  assert.equal(workers.length, 1);
  await session.send('Target.closeTarget', { targetId: workers[0].targetId });
  await session.detach();
}
