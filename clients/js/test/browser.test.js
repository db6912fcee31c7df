// In Chromium, against the real hub: what only browsers have.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { data, heard, listen, open, Site, state, tab } from './support/browser.js';
import { directory, Hub, SECRET, token, until } from './support/hub.js';
import { Proxy } from './support/proxy.js';

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

test('a hub that does not let the page in is told from one that is not there', async (t) => {
  const site = await Site.start(t);
  const hub = await Hub.start(t);
  site.allow(hub);
  const context = await browser.newContext();
  t.after(() => context.close());
  const said = [];
  context.on('console', (message) => said.push(message.text()));
  const page = await tab(context, site, hub);
  await page.waitForFunction(() => heard.events.state.reason?.blocked, undefined, { timeout: 60_000 });
  const { message } = await page.evaluate(() => heard.events.state.reason.plain());
  assert.match(message, new RegExp(`--allow-origin ${site.origin}`));
  const publishing = page.evaluate(async (hub) => {
    const { publish } = await import('/client/index.js');
    return publish(hub, { message: 'x' }).catch((error) => error.message);
  }, hub.url);
  assert.match(await publishing, /--allow-origin/);
  assert.equal(said.filter((text) => text.startsWith('fanfare:')).length, 1);
  await hub.kill();
  await page.waitForFunction(() => heard.events.state.at && !heard.events.state.reason?.blocked, undefined, { timeout: 60_000 });
  // Once it is allowed, the page comes by itself.
  await hub.again('--allow-origin', site.origin);
  await state(page, 'live');
});

test('a publish of another origin goes on past an answer of a proxy that the page may not read', async (t) => {
  const { hub, site, context } = await set(t);
  const listening = await tab(context, site, hub);
  await state(listening, 'live');
  for (const [fates, id, unknown] of [
    [['502 sent'], 'string', undefined],
    [['502', '502 sent', '502'], 'undefined', true],
  ]) {
    const proxy = await Proxy.start(t, hub, fates);
    site.allow(proxy);
    const page = await context.newPage();
    await page.goto(site.origin);
    const became = await page.evaluate(async (url) => {
      const { publish } = await import('/client/index.js');
      return publish(url, { message: 'once' }).then(
        (id) => ({ id: typeof id }),
        ({ message, unknown }) => ({ id: 'undefined', message, unknown }),
      );
    }, proxy.url);
    assert.equal(became.id, id, became.message);
    assert.equal(became.unknown, unknown);
  }
  await hub.publish('end');
  await heard(listening, 'end');
  assert.deepEqual(await data(listening), ['once', 'once', 'end'], 'each was published once');
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

test('an outage of a minute is over within five seconds of the hub\'s return', async (t) => {
  const { hub, site, context } = await set(t);
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(site.origin);
  await listen(page, hub, { retry: 2_000 });
  await state(page, 'live');
  const begun = await page.evaluate(() => Date.now());
  await hub.kill();
  await state(page, 'reconnecting');
  // The browser's time is told by the test: each wait that begins within a minute is read, and passed.
  const waits = [];
  for (;;) {
    await page.waitForFunction(() => heard.events.state.at);
    const { at, now } = await page.evaluate(() => ({ at: heard.events.state.at, now: Date.now() }));
    if (now - begun >= 60_000) break;
    waits.push(at - now);
    await page.clock.runFor(Math.max(at - now, 1));
  }
  assert.ok(waits.length > 10, `${waits}`);
  assert.ok(Math.max(...waits) <= 5_000, `${waits}`);
});

test('a tab that is shown tries at once', async (t) => {
  const { hub, site, context } = await set(t);
  const before = () => {
    window.hide = (hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    };
  };
  for (const shared of [false, true]) {
    const tabs = [];
    for (let n = 0; n < 2; n += 1) {
      tabs.push(await tab(context, site, hub, { retry: 3_600_000, shared }, { before }));
      await state(tabs[n], 'live');
    }
    await hub.kill();
    for (const page of tabs) await state(page, 'reconnecting');
    await hub.again();
    for (const page of tabs) await page.evaluate(() => hide(true));
    for (const page of shared ? [tabs[1]] : tabs) await page.evaluate(() => hide(false));
    for (const page of tabs) {
      await state(page, 'live');
      await page.close();
    }
  }
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

test('tabs survive the death of the one that leads, and lose nothing', async (t) => {
  const { hub, site, context } = await set(t);
  const tabs = [];
  for (let n = 0; n < 4; n += 1) {
    tabs.push(await tab(context, site, hub, { shared: true }));
    await state(tabs.at(-1), 'live');
  }
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  // The oldest leads. What comes while nobody does must reach all the same.
  for (const [n, end] of ['Page.crash', 'close', 'Page.crash'].entries()) {
    const leader = tabs.shift();
    if (end === 'close') await leader.close();
    else (await context.newCDPSession(leader)).send(end).catch(() => {});
    for (let part = 0; part < 5; part += 1) await hub.publish(`${n} ${part}`);
    for (const page of tabs) await heard(page, `${n} 4`);
  }
  const parts = [0, 1, 2].flatMap((n) => [0, 1, 2, 3, 4].map((part) => `${n} ${part}`));
  assert.deepEqual(await data(tabs[0]), ['1', ...parts]);
  assert.deepEqual(await tabs[0].evaluate(() => heard.gaps), []);
  await hub.subscribers(1);
});

test('tabs that are opened and closed in a burst of events neither lose nor double one', async (t) => {
  const { hub, site, context } = await set(t);
  let published = 0;
  let ended = false;
  const publishing = (async () => {
    while (!ended) await hub.publish(String(published++));
  })();
  const check = async (page) => {
    const numbers = (await data(page)).map(Number);
    assert.ok(numbers.length > 0);
    assert.deepEqual(numbers, Array.from(numbers, (_, n) => numbers[0] + n));
  };
  const tabs = [];
  for (let round = 0; round < 8; round += 1) {
    const page = await tab(context, site, hub, { shared: true, since: round % 3 ? '' : 'earliest' });
    tabs.push(page);
    await page.waitForFunction(() => heard.data.length > 50);
    if (tabs.length > 2) {
      const leaving = tabs.shift();
      await check(leaving);
      await leaving.close();
    }
  }
  ended = true;
  await publishing;
  for (const page of tabs) {
    await heard(page, String(published - 1));
    await check(page);
    assert.deepEqual(await page.evaluate(() => heard.gaps), []);
  }
  await hub.subscribers(1);
});

test('a leader that does not answer is replaced, and follows when it wakes', async (t) => {
  const { hub, site, context } = await set(t);
  const first = await tab(context, site, hub, { shared: true });
  await state(first, 'live');
  const second = await tab(context, site, hub, { shared: true });
  await state(second, 'live');
  const opened = first.waitForEvent('dialog');
  await first.evaluate(() => void setTimeout(() => alert('nothing runs until somebody answers'), 0));
  const dialogue = await opened;
  await hub.publish('1');
  await heard(second, '1');
  await dialogue.accept();
  await heard(first, '1');
  await hub.subscribers(1);
  await hub.publish('2');
  for (const page of [first, second]) {
    await heard(page, '2');
    assert.deepEqual(await data(page), ['1', '2']);
  }
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

test('a tab that wants what comes takes nothing over of what its leader has only asked for', async (t) => {
  const { hub, site, context } = await set(t, '--jwt-secret', SECRET);
  const bearer = { authorization: `Bearer ${token()}` };
  await hub.publish('old', {}, bearer);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await context.exposeFunction('late', () => held.then(() => token()));
  await context.exposeFunction('mint', () => token());
  // It leads, and has no connection yet.
  const all = await tab(context, site, hub, { shared: 'alice', token: 'late', since: 'earliest' });
  const live = await tab(context, site, hub, { shared: 'alice', token: 'mint' });
  await live.waitForFunction(() => heard.events.state.name === 'live' || heard.events.lastEventId);
  release();
  await heard(all, 'old');
  await hub.publish('new', {}, bearer);
  for (const page of [all, live]) await heard(page, 'new');
  assert.deepEqual(await data(live), ['new']);
  assert.deepEqual(await data(all), ['old', 'new']);
  await hub.subscribers(1);
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
    // One that has expired when the hub sees it is refused for good.
    return token({ seconds: 4 });
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

test('where nothing can be shared, each tab has a connection of its own, and says so', async (t) => {
  const { hub, site, context } = await set(t);
  const tabs = [];
  const said = [];
  context.on('console', (message) => said.push(message.text()));
  for (const before of [
    () => delete window.BroadcastChannel,
    () => (navigator.locks.request = () => Promise.reject(new DOMException('not here', 'SecurityError'))),
  ]) {
    tabs.push(await tab(context, site, hub, { shared: true }, { before }));
  }
  for (const page of tabs) await state(page, 'live');
  await hub.subscribers(2);
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  for (const page of tabs) assert.deepEqual(page.problems, []);
  await until(() => said.filter((text) => text.includes('a connection of its own')).length === 2);
});

test('without locks tabs share all the same', async (t) => {
  const { hub, site, context } = await set(t);
  const before = () => Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
  const open = () => tab(context, site, hub, { shared: true }, { before });
  const tabs = await Promise.all([open(), open(), open(), open()]);
  for (const page of tabs) await state(page, 'live');
  await hub.subscribers(1);
  await hub.publish('1');
  for (const page of tabs) await heard(page, '1');
  for (const [text, end] of [['2', 'close'], ['3', 'Page.crash'], ['4', 'close']]) {
    const leader = tabs.splice(await leading(tabs), 1)[0];
    if (end === 'close') await leader.close();
    else (await context.newCDPSession(leader)).send(end).catch(() => {});
    await hub.publish(text);
    for (const page of tabs) await heard(page, text);
    await hub.subscribers(1);
  }
  assert.deepEqual(await data(tabs[0]), ['1', '2', '3', '4']);
  await tabs[0].close();
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
    await hub.subscribers(0);
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

// Which of these pages holds the connection: the one that has a stream.
async function leading(pages) {
  const streams = (page) =>
    page.evaluate(() => window.sources.filter(({ readyState }) => readyState !== EventSource.CLOSED).length);
  return (await Promise.all(pages.map(streams))).findIndex((count) => count > 0);
}
