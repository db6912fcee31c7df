// Chromium, and a site whose pages use the client from its files, as they are, under a strict
// content security policy.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));

export const open = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });

export class Site {
  static async start(test) {
    const site = new Site();
    const server = createServer((request, response) => site.#answer(request.url, response));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    site.origin = `http://127.0.0.1:${server.address().port}`;
    return site;
  }

  // Lets pages connect to this hub.
  allow(hub) {
    this.policy = `default-src 'none'; script-src 'self'; connect-src 'self' http://${hub.address}`;
  }

  async #answer(url, response) {
    const [, file] = /^\/client\/(\w+\.js)$/.exec(url) ?? [];
    const type = file ? 'text/javascript' : 'text/html';
    const body = file ? await readFile(SOURCES + file) : '<!doctype html><title>A page</title>';
    response.writeHead(200, { 'content-type': type, 'content-security-policy': this.policy });
    response.end(body);
  }
}

// A tab whose page is connected to the hub; what it hears is in `heard` of its window.
export async function tab(context, site, hub, options = {}, { before } = {}) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  if (before) await page.addInitScript(before);
  await page.addInitScript(() => {
    window.sources = [];
    window.EventSource = class extends EventSource {
      constructor(...given) {
        super(...given);
        sources.push(this);
      }
    };
  });
  await page.goto(site.origin);
  await listen(page, hub, options);
  return page;
}

// `options.token` is the name of a function that the test has exposed to the page.
export async function listen(page, hub, options = {}) {
  await page.evaluate(
    async ([hub, { token, ...options }]) => {
      const { connect } = await import('/client/index.js');
      if (token) options.token = () => window[token]();
      const events = connect(hub, { retry: 200, ...options });
      const heard = { events, data: [], gaps: [], states: [events.state.name] };
      events.on((event) => heard.data.push(event.data));
      events.on('fanfare.gap', (gap) => heard.gaps.push(gap.reason));
      events.on('fanfare.state', ({ name }) => heard.states.push(name));
      window.heard = heard;
    },
    [hub.url, options],
  );
}

export const state = (page, name) =>
  page.waitForFunction((name) => heard.events.state.name === name, name, { timeout: 60_000 });

export const heard = (page, data) =>
  page.waitForFunction((data) => heard.data.includes(data), data, { timeout: 60_000 });

export const data = (page) => page.evaluate(() => heard.data);
