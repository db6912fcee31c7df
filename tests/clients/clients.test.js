// The clients that people have: each as its maintainers publish it, against the real hub. What each
// of them hears is compared with what was published, with the quirks it is known for and no others.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { directory, Hub, until } from '../../clients/js/test/support/hub.js';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const adapter = (name) => path(`adapters/${name}`);
const node = (name, ...args) => [process.execPath, adapter(name), ...args];
const python = (name) => [path('../../target/clients/python/bin/python'), adapter(name)];

const [major] = process.versions.node.split('.').map(Number);

const CLIENTS = {
  "Chromium's EventSource": { command: node('chromium.js') },
  'eventsource 2': { command: node('eventsource.js', 'eventsource-2') },
  'eventsource 3': { command: node('eventsource.js', 'eventsource-3') },
  'eventsource 4': { command: node('eventsource.js', 'eventsource-4'), node: 20 },
  'eventsource-client': { command: node('eventsource-client.js') },
  'fetch-event-source': { command: node('fetch-event-source.js') },
  "undici, Node's own": { command: node('eventsource.js', 'undici') },
  'httpx-sse': { command: python('httpx-sse.py') },
  'sseclient-py': { command: python('sseclient-py.py') },
  'aiohttp-sse-client2': {
    command: python('aiohttp-sse-client2.py'),
    // Takes all spaces at the beginning of a line for the one after the colon, drops empty last lines.
    distort: (data) => data.replace(/^ +/gm, '').replace(/\n+$/, ''),
  },
  'curl -N': { command: python('curl.py') },
  'r3labs/sse': {
    command: [path('../../target/clients/r3labs')],
    // What comes after the last event of a stream, be it a comment, is another event to it.
    isPhantom: ({ id, data }, before) => data === '' && id === before?.id,
  },
};

const MESSAGES = [
  { message: 'plain' },
  { message: 'typed', event: 'shipped', topic: 't/typed' },
  { message: 'one\ntwo\r\nthree\rfour\n\n' },
  { message: '  : leading, and\ttabs ' },
  { message: 'data: of a forged field\nid: 1-1\nevent: forged' },
  { message: 'ünï😀, a separator\u2028of lines, \u0085 and \u000b' },
  { message: '' },
  { message: 'x'.repeat(32 * 1024) },
];

for (const [name, { command, node = 0, ...quirks }] of Object.entries(CLIENTS)) {
  const skip = major < node && `it needs Node ${node}, this is ${process.version}`;
  test(name, { skip }, (t) => hears(t, command, quirks));
}

// Checks what a client hears that runs as this command.
async function hears(t, [program, ...args], { distort = (data) => data, isPhantom = () => false }) {
  const hub = await Hub.start(t, '--data', await directory(t), '--heartbeat', '100ms', '--retry', '100ms');
  const client = spawn(program, [...args, `${hub.url}events?topic=t/**`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let failure;
  client.once('error', (error) => (failure = error));
  client.once('exit', (code, signal) => (failure ??= new Error(`it ended: ${code ?? signal}`)));
  t.after(() => client.kill());
  const heard = [];
  createInterface({ input: client.stdout }).on('line', (line) => {
    const event = JSON.parse(line);
    if (event.type !== 'fanfare.cursor' && !isPhantom(event, heard.at(-1))) heard.push(event);
  });
  const expected = [];
  const publish = async ({ message, event, topic = 't' }) => {
    const id = await hub.publish(message, { topic, event });
    // A receiver reads CR and CR LF as LF.
    const data = distort(message.replace(/\r\n?/g, '\n'));
    expected.push({ id, type: event ?? 'message', data });
  };
  const awaited = async (what) => {
    const arrived = () => {
      if (failure) throw failure;
      return heard.some(({ data }) => data === what);
    };
    await until(arrived, `${what} in ${JSON.stringify(heard)}`);
  };

  await until(async () => {
    if (failure) throw failure;
    // It is counted as open before it is settled where it begins.
    return (await hub.metric('fanfare_keepalives_total')) > 0;
  }, 'a subscriber');
  for (const message of MESSAGES) await publish(message);
  await awaited('x'.repeat(32 * 1024));

  const keepalives = await hub.metric('fanfare_keepalives_total');
  await until(async () => (await hub.metric('fanfare_keepalives_total')) >= keepalives + 3);
  await publish({ message: 'after keepalives' });
  await awaited('after keepalives');

  for (const [end, message] of [['SIGTERM', 'after a restart'], ['SIGKILL', 'after a crash']]) {
    await hub.kill(end);
    await hub.again();
    await publish({ message });
    await awaited(message);
  }
  assert.deepEqual(heard, expected);
}
