// A hub's addresses, and the credentials that it is shown.

import { FanfareError } from './error.js';

// How long the hub may take to answer.
export const ANSWER_WITHIN_MS = 10_000;

// The address of what a hub has at `path`. `hub` is where its page is, such as `/sse`, with or
// without a slash at its end.
export function at(hub, path) {
  const base = new URL(hub, globalThis.document?.baseURI ?? globalThis.location?.href);
  base.search = base.hash = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return new URL(path, base);
}

// Asks the hub. Cookies go along, also to another origin: the hub answers only those it allows.
export async function ask(url, { token, headers, signal, ...request }) {
  const bearer = typeof token === 'function' ? await token() : token;
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const either = new AbortController();
  for (const one of [signal, timeout]) {
    if (one?.aborted) either.abort(one.reason);
    one?.addEventListener('abort', () => either.abort(one.reason), { once: true });
  }
  let answer;
  try {
    answer = await fetch(url, {
      cache: 'no-store',
      credentials: 'include',
      ...request,
      headers: bearer ? { ...headers, authorization: `Bearer ${bearer}` } : headers,
      signal: either.signal,
    });
  } catch (error) {
    throw await explain(url, error);
  }
  if (!answer.ok) throw await FanfareError.from(answer);
  return answer;
}

// The hubs that this page has been told of as walled.
const told = new Set();

// Why a hub of another origin did not answer. A browser says the same whether nobody is there or the
// page may not read what was said; but it lets a page know that something was said.
export async function explain(url, error) {
  const { origin } = new URL(url);
  const page = globalThis.location?.origin;
  if (!(error instanceof TypeError) || !page || page === origin) return error;
  const probe = new AbortController();
  const timer = setTimeout(() => probe.abort(), ANSWER_WITHIN_MS);
  try {
    await fetch(url, { mode: 'no-cors', cache: 'no-store', signal: probe.signal });
  } catch {
    return error;
  } finally {
    clearTimeout(timer);
    probe.abort();
  }
  const message = `${origin} answered, but pages of ${page} may not read it: start the hub with --allow-origin ${page}, or --dev while developing on this machine (or a proxy answered in its place)`;
  if (!told.has(origin)) console.error(`fanfare: ${message}`);
  told.add(origin);
  return new FanfareError(message, { blocked: true, cause: error });
}

// A ticket for one stream, for whoever holds the token.
export async function drawTicket(hub, token) {
  const answer = await ask(at(hub, 'ticket'), { method: 'POST', token });
  return (await answer.json()).ticket;
}
