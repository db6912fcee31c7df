// The package, as it is packed, in an application that each toolchain builds or serves: in Chromium,
// three tabs share one connection, and each hears what is published, once.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createServer as reserve } from 'node:net';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import webpack from 'webpack';

import { open } from '../support/browser.js';
import { Hub, until } from '../support/hub.js';
import { TOOLS } from './tools.js';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };
const environment = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', PARCEL_WORKERS: '1' };

let browser;
let app; // the application, with the package installed in it
before(async () => {
  browser = await open();
  app = await mkdtemp(join(here, 'work-'));
  await cp(join(here, 'app'), app, { recursive: true });
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', app], { cwd: join(here, '../..') });
  await run('tar', ['-xzf', JSON.parse(stdout)[0].filename], { cwd: app });
  await mkdir(join(app, 'node_modules'));
  await cp(join(app, 'package'), join(app, 'node_modules/fanfare-client'), { recursive: true });
});
after(async () => {
  await browser?.close();
  if (app) await rm(app, { recursive: true, force: true });
});

const program = ({ path, args }) => {
  const script = join(here, 'node_modules', path);
  // esbuild's is the compiler itself.
  return path.startsWith('esbuild/') ? [script, args] : [process.execPath, [script, ...args.map(String)]];
};

async function build({ build, webpack: config, serve }) {
  if (config) {
    const { default: settings } = await import(join(app, config));
    const stats = await promisify(webpack)(settings);
    assert.ok(!stats.hasErrors(), stats.toString());
  }
  if (build) {
    await run(...program(build), { cwd: app, env: environment }).catch(({ stdout, stderr }) => {
      throw new Error(`${stdout}\n${stderr}`);
    });
  }
  if (serve?.endsWith('/bundled.html')) await cp(join(app, 'bundled.html'), join(app, serve));
}

// The address of the application.
async function serve(t, { serve, server, path }, hub) {
  if (!server) {
    const site = createServer(async ({ url }, response) => {
      const file = new URL(url, 'http://site').pathname;
      const body = await readFile(join(app, file)).catch(() => undefined);
      response.writeHead(body ? 200 : 404, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(body);
    });
    const port = await listen(site);
    t.after(() => (site.closeAllConnections(), site.close()));
    return `http://127.0.0.1:${port}/${serve}`;
  }
  const free = reserve();
  const port = await listen(free);
  await new Promise((resolve) => free.close(resolve));
  const [command, args] = program(server(port));
  const child = spawn(command, args, { cwd: app, env: { ...environment, HUB: hub }, stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  });
  const address = `http://127.0.0.1:${port}${path}`;
  await until(() => fetch(new URL('/', address)).then(({ ok }) => ok, () => child.exitCode !== null), address);
  assert.equal(child.exitCode, null);
  return address;
}

const listen = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

for (const [name, tool] of Object.entries(TOOLS)) {
  const skip = process.env.TOOLCHAINS === 'fast' && !tool.fast && 'not among the fast ones';
  test(name, { skip }, async (t) => {
    if (tool.after) await build(TOOLS[tool.after]);
    await build(tool);
    const first = tool.passesOn && (await Hub.start(t));
    const address = await serve(t, tool, first ? new URL(first.url).origin : '');
    // While one develops; and of what was built, the site is named.
    const admitted = tool.server ? ['--dev'] : ['--allow-origin', new URL(address).origin];
    const hub = first || (await Hub.start(t, ...admitted));
    const context = await browser.newContext();
    t.after(() => context.close());
    const tabs = [];
    for (let n = 0; n < 3; n += 1) {
      const page = await context.newPage();
      page.problems = [];
      page.on('pageerror', (error) => page.problems.push(error.message));
      await page.goto(`${address}?hub=${encodeURIComponent(first ? '/sse' : hub.url)}`);
      await page.waitForFunction(() => document.title === 'live', undefined, { timeout: 60_000 });
      tabs.push(page);
    }
    await hub.subscribers(1);
    await hub.publish('heard', { topic: 't', event: 'of any type' });
    await hub.publish('the last', { topic: 't' });
    for (const page of tabs) {
      await page.waitForFunction(() => document.body.innerText.includes('the last'));
      assert.equal((await page.innerText('body')).split('heard').length - 1, 1);
      assert.deepEqual(page.problems, []);
    }
    assert.equal(await hub.metric('fanfare_subscribers'), 1);
  });
}
