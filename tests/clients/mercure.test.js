// Clients of Mercure's protocol: each as its maintainers publish it, with nothing changed but the URL, against the real
// hub. Those that publish, by what the hub's subscribers then hear; those that subscribe, by what they say that they
// heard, across a restart where they come back by themselves.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { directory, Hub, until } from '../../clients/js/test/support/hub.js';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const node = (name, ...args) => [process.execPath, path(`adapters/${name}`), ...args];
const python = (name) => [path('../../target/clients/python/bin/python'), path(`adapters/${name}`)];
const [major] = process.versions.node.split('.').map(Number);

// What the protocol's clients are set up with, for development.
const SECRET = '!ChangeThisMercureHubJWTSecretKey!';
const BOOK = 'https://example.com/books/1';

// As clients from before 1.0 have it.
function token(rights) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ mercure: rights })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

// What it cannot say is left out: `pymercure` forgets `retry`, and neither it nor npm's knows privacy.
const PUBLISHERS = {
  "npm's mercure": { command: node('mercure/npm-mercure.js'), by: 'token', says: ['id', 'type', 'retry'] },
  'mercure-publisher (Python)': {
    command: python('mercure/mercure-publisher.py'),
    by: 'secret',
    says: ['id', 'type', 'retry', 'private'],
  },
  'pymercure (Python)': { command: python('mercure/pymercure-publisher.py'), by: 'token', says: ['id', 'type'] },
  'mercure (Rust)': {
    command: [path('../../target/clients/mercure-rs/debug/mercure-rs-adapter')],
    by: 'secret',
    says: ['private'],
    silent: true,
  },
  'symfony/mercure (PHP)': {
    command: ['php', '-d', 'include_path=/usr/share/php', path('adapters/mercure/symfony-mercure.php')],
    by: 'token',
    says: ['id', 'type', 'retry', 'private'],
    needs: '/usr/share/php/Symfony/Component/Mercure/autoload.php',
  },
};

for (const [name, client] of Object.entries(PUBLISHERS)) {
  const skip = client.needs && !existsSync(client.needs) && `there is no ${client.needs}: apt-get install php-symfony-mercure`;
  test(`${name} publishes`, { skip }, (t) => publishes(t, client));
}

async function publishes(t, { command: [program, ...args], by, says, silent }) {
  const hub = await start(t);
  const url = new URL('/.well-known/mercure', hub.url).href;
  const heard = await listen(t, `${url}?match_urlpattern=https://example.com/:kind/:id&match=end`);
  const publish = async (update) => {
    const key = by === 'token' ? token({ publish: ['*'] }) : SECRET;
    const { stdout } = await promisify(execFile)(program, [...args, url, key, JSON.stringify(update)]);
    return stdout.trim();
  };
  const data = 'ünï 😀 & = + %\n{"json": [1]}';
  const everything = { id: 'urn:uuid:1', type: 'changed', retry: 1234, private: true };
  const said = Object.fromEntries(Object.entries(everything).filter(([field]) => says.includes(field)));
  const topics = [BOOK, 'https://example.com/users/1'];
  const ids = [await publish({ topics: [BOOK], data: 'plain' }), await publish({ topics, data, ...said })];
  await until(() => heard.length >= 2, 'both updates');
  assert.equal(heard[0].data, 'plain');
  assert.equal(heard[1].data, data);
  assert.equal(heard[1].event, said.type);
  assert.equal(heard[1].retry, said.retry);
  if (!silent) assert.deepEqual(heard.map(({ id }) => id), ids);
  if (said.id) assert.equal(ids[1], said.id);
  const anonymous = await listen(t, `${url}?match=${BOOK}&last_event_id=earliest`, null);
  await until(() => anonymous.length >= (said.private ? 1 : 2), 'what is public');
  assert.equal(anonymous[0].data, 'plain');
  assert.equal(anonymous.some((event) => event.data === data), !said.private, 'what is private is not for all');
  if (by === 'token') {
    const wrong = promisify(execFile)(program, [...args, url, `${token({ publish: ['*'] })}x`, JSON.stringify({ topics, data })]);
    await assert.rejects(wrong, 'a refusal is one to it too');
  }
}

const SUBSCRIBERS = {
  "Chromium's EventSource": { command: node('chromium.js') },
  'eventsource 2': { command: node('eventsource.js', 'eventsource-2') },
  'eventsource 4': { command: node('eventsource.js', 'eventsource-4'), node: 20 },
  'fetch-event-source': { command: node('fetch-event-source.js') },
  'httpx-sse (Python)': { command: python('httpx-sse.py') },
  'r3labs/sse (Go)': { command: [path('../../target/clients/r3labs')] },
  'pymercure (Python)': { command: python('mercure/pymercure-consumer.py'), topic: BOOK, stays: false },
};

for (const [name, client] of Object.entries(SUBSCRIBERS)) {
  const skip = major < (client.node ?? 0) && `it needs Node ${client.node}, this is ${process.version}`;
  test(`${name} subscribes`, { skip }, (t) => subscribes(t, client));
}

async function subscribes(t, { command: [program, ...args], topic, stays = true }) {
  const hub = await start(t);
  const url = new URL('/.well-known/mercure', hub.url).href;
  const query = `?topic=${encodeURIComponent('https://example.com/books/{id}')}`;
  const client = spawn(program, [...args, ...(topic ? [url, topic] : [url + query])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => client.kill());
  const heard = [];
  createInterface({ input: client.stdout }).on('line', (line) => heard.push(JSON.parse(line)));
  await hub.subscribers(1);
  const publish = async (fields) => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token({ publish: ['*'] })}` },
      body: new URLSearchParams({ topic: BOOK, ...fields }),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.text();
  };
  const expected = [];
  for (const fields of [{ data: 'one\ntwo' }, { data: 'mine', id: 'urn:uuid:7' }, { data: 'typed', type: 'shipped' }]) {
    const id = await publish(fields);
    expected.push({ id, type: fields.type ?? 'message', data: fields.data });
  }
  const events = () => heard.filter(({ type, data }) => !type.startsWith('fanfare.') && data !== '');
  await until(() => events().length >= 3, 'three updates');
  if (stays) {
    await hub.kill('SIGTERM');
    await hub.again();
    const id = await publish({ data: 'after a restart' });
    expected.push({ id, type: 'message', data: 'after a restart' });
    await until(() => events().length >= 4, 'one more after a restart');
  }
  assert.deepEqual(events(), expected);
}

async function start(t) {
  return Hub.start(t, '--mercure', '--data', await directory(t), '--heartbeat', '100ms', '--retry', '100ms');
}

// The events of a stream, as they come.
async function listen(t, url, jwt = token({ subscribe: ['*'] })) {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const headers = jwt ? { authorization: `Bearer ${jwt}` } : {};
  const { status, body } = await fetch(url, { headers, signal: abort.signal });
  assert.equal(status, 200);
  const events = [];
  const read = async () => {
    let text = '';
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + piece).split('\n\n');
      text = blocks.pop();
      events.push(...blocks.map(parse).filter(({ event }) => !event?.startsWith('fanfare.')));
    }
  };
  read().catch(() => {});
  return events;
}

function parse(block) {
  const event = { data: [] };
  // Keepalives and the opening stand before an event without a blank line.
  const lines = block.slice(block.lastIndexOf('\nid: ') + 1).split('\n');
  for (const line of lines) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') event.data.push(value);
    if (name === 'id' || name === 'event') event[name] = value;
    if (name === 'retry') event.retry = Number(value);
  }
  return { ...event, data: event.data.join('\n') };
}
