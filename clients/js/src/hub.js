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
  const answer = await fetch(url, {
    cache: 'no-store',
    credentials: 'include',
    ...request,
    headers: bearer ? { ...headers, authorization: `Bearer ${bearer}` } : headers,
    signal: either.signal,
  });
  if (!answer.ok) throw await FanfareError.from(answer);
  return answer;
}

// A ticket for one stream, for whoever holds the token.
export async function drawTicket(hub, token) {
  const answer = await ask(at(hub, 'ticket'), { method: 'POST', token });
  return (await answer.json()).ticket;
}
