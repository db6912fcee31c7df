// In Node, over npm's EventSource, against the real hub.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { EventSource } from 'eventsource';

import { connect, FanfareError, publish } from '../src/index.js';
import { FanfareSource } from '../src/source.js';
import { directory, Hub, SECRET, token, until } from './support/hub.js';
import { Proxy } from './support/proxy.js';

// A connection of a test, and what it has heard.
function listen(test, hub, options = {}) {
  const events = connect(hub.url, { EventSource, retry: 200, ...options });
  test.after(() => events.close());
  const heard = { events, messages: [], gaps: [], states: [events.state.name] };
  events.on((event) => heard.messages.push(event));
  events.on('fanfare.gap', (gap) => heard.gaps.push(gap));
  events.on('fanfare.state', ({ name }) => heard.states.push(name));
  heard.data = () => heard.messages.map(({ data }) => data);
  heard.until = (data) => until(() => heard.data().includes(data), `${data} in ${heard.data()}`);
  heard.state = (name) => until(() => events.state.name === name && events.state, name);
  return heard;
}

test('an event of any type arrives as it was published', async (t) => {
  const hub = await Hub.start(t);
  const heard = listen(t, hub, { topics: ['orders/*', 'news'] });
  const paid = [];
  heard.events.on('paid', (event) => paid.push(event.json()));
  const only = listen(t, hub, { topics: '**', types: ['paid'] });
  await Promise.all([heard.state('live'), only.state('live')]);

  const text = '  a\nb\r\nc\rd:\u2028"😀" ';
  const id = await publish(hub.url, { topic: 'orders/7', message: text });
  await publish(hub.url, { topic: 'elsewhere', message: 'not wanted' });
  const ids = await publish(hub.url, [
    { topic: 'orders/8', event: 'paid', message: { amount: 3 } },
    { topic: 'news', event: 'never listened for', message: '' },
  ]);
  await until(() => heard.messages.length === 3);

  const [first, second, third] = heard.messages;
  assert.deepEqual([first.id, first.type, first.topic, first.data], [id, 'message', 'orders/7', text]);
  assert.ok(Math.abs(first.publishedAt - Date.now()) < 3_600_000, String(first.publishedAt));
  assert.deepEqual([second.type, second.json()], ['paid', { amount: 3 }]);
  assert.deepEqual([third.id, third.type, third.data], [ids[1], 'never listened for', '']);
  assert.deepEqual(paid, [{ amount: 3 }]);
  assert.equal(heard.events.lastEventId, ids[1]);
  await until(() => only.messages.length === 1);
  assert.equal(only.messages[0].id, ids[0]);
});

test('a loop hears every event, and ends with the connection', async (t) => {
  const hub = await Hub.start(t);
  const { events, state } = listen(t, hub);
  await state('live');
  const loop = (async () => {
    const seen = [];
    for await (const { data } of events) {
      seen.push(data);
      if (data === '99') events.close();
    }
    return seen;
  })();
  const numbers = Array.from({ length: 100 }, (_, n) => String(n));
  await publish(hub.url, numbers.map((message) => ({ message })));
  assert.deepEqual(await loop, numbers);
  await hub.subscribers(0);
});

test('a loop that is too far behind is told, not made to miss', async (t) => {
  const hub = await Hub.start(t);
  const { events, state, messages } = listen(t, hub);
  await state('live');
  const loop = events[Symbol.asyncIterator]();
  const first = loop.next();
  for (let n = 0; n < 11; n += 1) {
    await publish(hub.url, Array.from({ length: 1_000 }, (_, m) => ({ message: `${n * 1_000 + m}` })));
  }
  await until(() => messages.length === 11_000);
  let last = (await first).value;
  await assert.rejects(async () => {
    for (;;) last = (await loop.next()).value;
  }, /behind/);
  assert.ok(Number(last.data) >= 9_999, last.data);
  const rest = listen(t, hub, { since: last.id });
  await rest.until('10999');
  assert.equal(rest.data()[0], String(Number(last.data) + 1));
});

test('what was published while the hub restarted arrives, in order and once', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t));
  const heard = listen(t, hub, { retry: 60_000 });
  await heard.state('live');
  await hub.publish('1');
  await heard.until('1');
  await hub.kill();
  const { at } = await heard.state('reconnecting');
  assert.ok(at > Date.now(), 'the next attempt lies ahead');
  await hub.again();
  await hub.publish('2');
  await hub.publish('3');
  heard.events.reconnect();
  await heard.until('3');
  await hub.publish('4');
  await heard.until('4');
  assert.deepEqual(heard.data(), ['1', '2', '3', '4']);
  assert.deepEqual(heard.gaps, []);
  assert.deepEqual(heard.states, ['connecting', 'live', 'reconnecting', 'reconnecting', 'live']);
});

test('what was published before the first event was heard is not lost either', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t));
  await hub.publish('long ago');
  const heard = listen(t, hub, { retry: 60_000 });
  await until(() => heard.events.lastEventId);
  await hub.kill();
  await heard.state('reconnecting');
  await hub.again();
  await hub.publish('1');
  heard.events.reconnect();
  await heard.until('1');
  assert.deepEqual(heard.data(), ['1']);
});

test('a hub that has forgotten everything is told as a gap', async (t) => {
  const hub = await Hub.start(t);
  const heard = listen(t, hub, { retry: 60_000 });
  await heard.state('live');
  const id = await hub.publish('before');
  await heard.until('before');
  await hub.kill();
  await heard.state('reconnecting');
  await hub.again();
  const after = await hub.publish('after');
  heard.events.reconnect();
  await heard.until('after');
  assert.deepEqual(heard.data(), ['before', 'after']);
  const [gap] = heard.gaps;
  assert.equal(heard.gaps.length, 1);
  assert.deepEqual([gap.reason, gap.requested, gap.id], ['unknown_epoch', id, gap.resumedFrom]);
  assert.equal(heard.events.lastEventId, after);
});

test('a gap that nobody listens for is warned of', async (t) => {
  const hub = await Hub.start(t);
  const warned = t.mock.method(console, 'warn', () => {});
  const events = connect(hub.url, { EventSource, since: '1-1' });
  t.after(() => events.close());
  await until(() => warned.mock.callCount() === 1);
  assert.match(warned.mock.calls[0].arguments[0], /unknown_epoch.*fanfare\.gap/);
});

test('it comes back by itself when the hub does', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t));
  const heard = listen(t, hub);
  await heard.state('live');
  await hub.publish('1');
  await hub.kill('SIGTERM');
  await until(() => heard.states.filter((name) => name === 'reconnecting').length > 4);
  await hub.again();
  await hub.publish('2');
  await heard.until('2');
  assert.deepEqual(heard.data(), ['1', '2']);
});

test('it may begin before the hub does', async (t) => {
  const hub = await Hub.start(t);
  await hub.kill();
  const heard = listen(t, hub);
  assert.ok((await heard.state('reconnecting')).at);
  await hub.again();
  await heard.state('live');
});

test('a full hub is waited for', async (t) => {
  const hub = await Hub.start(t, '--max-subscribers', '1');
  const first = listen(t, hub);
  await first.state('live');
  const second = listen(t, hub);
  await second.state('reconnecting');
  await until(() => second.states.length > 6);
  first.events.close();
  // Whoever was turned away was told nothing; who has an id has a seat.
  await until(() => second.events.lastEventId);
  await hub.publish('there is room');
  await second.until('there is room');
  assert.ok(!second.states.includes('closed'));
});

test('a stream goes on with a new ticket when its token expires', async (t) => {
  const hub = await Hub.start(t, '--jwt-secret', SECRET);
  let drawn = 0;
  // One that has expired when the hub sees it is refused for good.
  const heard = listen(t, hub, { token: async () => (drawn += 1) && token({ seconds: 4 }) });
  const bearer = { authorization: `Bearer ${token()}` };
  await heard.state('live');
  const sent = [];
  while (drawn < 4) {
    sent.push(String(sent.length));
    await hub.publish(sent.at(-1), {}, bearer);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  sent.push('end');
  await hub.publish('end', {}, bearer);
  await heard.until('end');
  assert.deepEqual(heard.data(), sent);
  assert.deepEqual(heard.gaps, []);
});

test('whose streams are cut comes back with a new ticket, or learns why not', async (t) => {
  const hub = await Hub.start(t, '--jwt-secret', SECRET);
  let allowed = true;
  const ticket = async () => {
    if (!allowed) throw Object.assign(new Error('signed out'), { status: 401 });
    const headers = { authorization: `Bearer ${token()}` };
    const answer = await fetch(new URL('ticket', hub.url), { method: 'POST', headers });
    return (await answer.json()).ticket;
  };
  const heard = listen(t, hub, { ticket });
  const loop = assert.rejects(async () => {
    for await (const _ of heard.events);
  }, /signed out/);
  await heard.state('live');
  const cut = async () => {
    const headers = { authorization: `Bearer ${adminToken()}` };
    const url = new URL('subscribers?subject=alice', hub.url);
    const answer = await fetch(url, { method: 'DELETE', headers });
    assert.equal(answer.status, 200, await answer.text());
  };
  await cut();
  await until(() => heard.states.filter((name) => name === 'live').length === 2);
  allowed = false;
  await cut();
  const { reason } = await heard.state('closed');
  assert.deepEqual([reason.status, reason.message, reason.final], [401, 'signed out', true]);
  await loop;

  allowed = true;
  heard.events.reconnect();
  await heard.state('live');
});

test('what no retry can mend closes the connection, with what the hub said', async (t) => {
  const hub = await Hub.start(t, '--jwt-secret', SECRET);
  for (const [options, status, said] of [
    [{}, 401, /Not authenticated/],
    [{ token: 'not a token' }, 401, /./],
    [{ token: token({ subscribe: ['a'] }), topics: 'b' }, 403, /./],
    [{ token: token(), topics: ['good', 'b*d'] }, 422, /topic: .*b\*d/],
  ]) {
    const heard = listen(t, hub, options);
    const { reason } = await heard.state('closed');
    assert.ok(reason instanceof FanfareError);
    assert.equal(reason.status, status);
    assert.match(reason.message, said);
    assert.deepEqual(heard.messages, []);
  }
  const heard = listen(t, { url: `${hub.url}nowhere/` });
  assert.equal((await heard.state('closed')).reason.status, 404);
  await hub.subscribers(0);
});

test('who answers with something else is named, and tried again', async (t) => {
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<p>'));
  t.after(() => server.close());
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${server.address().port}/sse`;
  const { events } = listen(t, { url });
  const { reason } = await until(() => events.state.reason && events.state);
  assert.match(reason.message, /^http:.*\/sse\/events.* answered with text\/html$/);
  assert.equal(events.state.name, 'reconnecting');
});

test('what is closed stays so', async (t) => {
  const hub = await Hub.start(t);
  const early = listen(t, hub);
  early.events.close();
  const heard = listen(t, hub);
  await heard.state('live');
  await hub.kill();
  await heard.state('reconnecting');
  heard.events.close();
  heard.events.reconnect();
  await hub.again();
  await hub.publish('unheard');
  const other = listen(t, hub, { since: 'earliest' });
  await other.until('unheard');
  assert.equal(await hub.metric('fanfare_subscribers'), 1);
  assert.deepEqual([heard.messages, early.messages], [[], []]);
  assert.ok(![...heard.states, ...early.states].includes('closed'), 'who closes it knows');
  assert.deepEqual([heard.events.state, early.events.state], [{ name: 'closed' }, { name: 'closed' }]);
});

test('publishing says what was wrong', async (t) => {
  const hub = await Hub.start(t);
  const failure = await publish(hub.url, { topic: 'a*', message: '' }).catch((error) => error);
  assert.ok(failure instanceof FanfareError);
  assert.equal(failure.status, 422);
  assert.ok(Array.isArray(failure.detail));
  assert.match(failure.message, /topic/);
  await assert.rejects(publish(hub.url, {}), { status: 422 });
  const abort = AbortSignal.abort();
  await assert.rejects(publish(hub.url, { message: '' }, { signal: abort }), FanfareError);
});

test('publishing again with the same key publishes once', async (t) => {
  const hub = await Hub.start(t);
  const heard = listen(t, hub);
  await heard.state('live');
  const key = 'order-7';
  const id = await publish(hub.url, { message: 'once' }, { key });
  assert.equal(await publish(hub.url, { message: 'once' }, { key }), id);
  await publish(hub.url, { message: 'end' });
  await heard.until('end');
  assert.deepEqual(heard.data(), ['once', 'end']);
});

test('publishing waits for a hub that comes back', async (t) => {
  const hub = await Hub.start(t, '--data', await directory(t));
  const returns = async () => {
    await hub.kill();
    const published = publish(hub.url, { message: 'late' }).catch((error) => void assert.match(error.message, /unknown/));
    await hub.again();
    return published;
  };
  // On a busy machine a hub may take longer to start than publishing is tried for.
  await until(returns, 'a hub that is back while it is tried');
  await hub.kill();
  await assert.rejects(publish(hub.url, { message: 'never' }), /unknown/);
});

test('what a lost answer leaves open stays so, whatever later tries are answered', async (t) => {
  const hub = await Hub.start(t);
  for (const [fates, status, unknown] of [
    [['lost', '503', '503'], 503, true],
    [['502 sent', '503', '503'], 503, true],
    [['504 sent', '401'], 401, true],
    [['503', 'lost', '507'], 507, true],
    [['lost', 'lost', 'lost'], undefined, true],
    [['503', '503', '503'], 503, undefined],
    [['507'], 507, undefined],
    [['422'], 422, undefined],
  ]) {
    const { url } = await Proxy.start(t, hub, [...fates]);
    const failure = await publish(url, { message: 'perhaps' }).catch((error) => error);
    assert.ok(failure instanceof FanfareError, String(failure));
    assert.deepEqual([failure.status, failure.unknown], [status, unknown], `${fates}`);
    assert.equal(/whether .* is unknown/.test(failure.message), Boolean(unknown), failure.message);
  }
});

test('a token that cannot be had leaves nothing open', async (t) => {
  const hub = await Hub.start(t);
  const token = () => Promise.reject(new Error('signed out'));
  const failure = await publish(hub.url, { message: 'never' }, { token }).catch((error) => error);
  assert.deepEqual([failure.message, failure.unknown], ['signed out', undefined]);
});

test('a source asks for all that its address does', async (t) => {
  const hub = await Hub.start(t);
  const asked = [];
  class Watched extends EventSource {
    constructor(url, ...rest) {
      asked.push(new URL(url).searchParams);
      super(url, ...rest);
    }
  }
  const query = 'topic=a&topic=b&event=c&interval=20&last_event_id=1-1';
  const source = new FanfareSource(`${hub.url}events?${query}`, { EventSource: Watched });
  t.after(() => source.close());
  await until(() => asked.length > 0);
  for (const [name, value] of new URLSearchParams(query)) assert.ok(asked[0].getAll(name).includes(value), name);
});

test('without an EventSource it says so', () => {
  if (globalThis.EventSource) return;
  assert.throws(() => connect('http://127.0.0.1:1/sse'), /eventsource/);
});

function adminToken() {
  return token({ sub: 'root', admin: true });
}
