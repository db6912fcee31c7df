// The hub under test: the real binary on a free port of loopback, killed whatever happens.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BINARY =
  process.env.FANFARE_BIN ?? fileURLToPath(new URL('../../../../target/debug/fanfare', import.meta.url));

// How long a condition may take on a busy machine before it counts as never.
export const PATIENCE_MS = 60_000;

export const SECRET = 'a secret of no less than thirty-two bytes';

export class Hub {
  // Starts one for a test, with these arguments.
  static async start(test, ...args) {
    const hub = new Hub();
    test.after(() => hub.kill());
    await hub.run('127.0.0.1:0', args);
    return hub;
  }

  async run(listen, args) {
    this.args = args;
    const env = { PATH: process.env.PATH };
    const stdio = ['ignore', 'pipe', 'inherit'];
    this.process = spawn(BINARY, ['--listen', listen, '--log-level', 'error', ...args], { env, stdio });
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
    const lines = createInterface({ input: this.process.stdout });
    this.url = await new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('exit', (code) => reject(new Error(`the hub ended with ${code}`)));
      lines.on('line', (line) => {
        const found = /http:\/\/\S+/.exec(line);
        if (found) resolve(found[0]);
      });
    });
    this.address = new URL(this.url).host;
  }

  async kill(signal = 'SIGKILL') {
    this.process?.kill(signal);
    await this.ended;
  }

  // Comes back where it was.
  async again(...args) {
    await this.run(this.address, args.length ? args : this.args);
  }

  async publish(message, draft = {}, headers = {}) {
    const answer = await fetch(new URL('send', this.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ message, ...draft }),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()).id;
  }

  // A figure of `/metrics`, all its series added up.
  async metric(name) {
    const text = await (await fetch(new URL('/metrics', this.url))).text();
    const lines = text.split('\n').filter((line) => line.split(/[ {]/)[0] === name);
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  // Waits until so many streams are open. They are counted before it is settled where they begin; who is
  // listed hears all that is published from then on.
  async subscribers(count) {
    const headers = this.args.includes(SECRET) ? { authorization: `Bearer ${token({ admin: true })}` } : {};
    const listed = async () => (await (await fetch(new URL('subscribers', this.url), { headers })).json()).subscribers;
    const open = async () => (await this.metric('fanfare_subscribers')) === count && (await listed())?.length === count;
    await until(open, `${count} subscribers`);
  }
}

// A directory that is gone after the test.
export async function directory(test) {
  const path = await mkdtemp(join(tmpdir(), 'fanfare-'));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

export async function until(condition, what = condition) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`in vain awaited: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// A token that may listen to everything, and publish.
export function token({ seconds = 3600, sub = 'alice', subscribe = ['**'], publish = ['**'], admin = false } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp, fanfare: { subscribe, publish, admin } })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}
