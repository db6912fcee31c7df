// Publishing, with retries that cannot publish twice.

import { FanfareError } from './error.js';
import { ask, at } from './hub.js';

const TRIES = 3;
const PAUSE_MS = 500;
// The longest that the hub can make the caller wait before the next try.
const MAX_PAUSE_MS = 10_000;

export async function publish(hub, events, options = {}) {
  const { token, signal, key = drawKey() } = options;
  const url = at(hub, 'send');
  const many = Array.isArray(events);
  const request = {
    method: 'POST',
    signal,
    headers: {
      'content-type': many ? 'application/x-ndjson' : 'application/json',
      'idempotency-key': key,
    },
    body: many ? events.map(encode).join('\n') : encode(events),
  };
  let unknown = false; // whether any try may have published, whatever the last one was answered
  for (let tried = 1; ; tried += 1) {
    let sent = false;
    try {
      const bearer = typeof token === 'function' ? await token() : token;
      sent = !signal?.aborted;
      const { id, ids } = await (await ask(url, { ...request, token: bearer })).json();
      return many ? ids : id;
    } catch (error) {
      const failure = FanfareError.of(error);
      unknown ||= sent && mayHavePublished(failure);
      if (signal?.aborted || tried === TRIES || failure.final || failure.status === 507) {
        throw unknown ? ofUnknownOutcome(failure) : failure;
      }
      const pause = failure.retryAfter ? failure.retryAfter * 1000 : PAUSE_MS * 2 ** tried;
      await sleep(Math.min(pause, MAX_PAUSE_MS) * (0.5 + Math.random() / 2), signal);
    }
  }
}

function encode({ topic, event, message }) {
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  return JSON.stringify({ topic, event, message: text });
}

// Whether the hub may have published though it did not say so: nothing was answered that a page may read,
// or not by the hub, or the hub itself does not know. What it answers with 503 and 507 it has not done.
function mayHavePublished({ status, detail }) {
  if (!status) return true;
  return status >= 500 && (![503, 507].includes(status) || /unknown/.test(detail));
}

function ofUnknownOutcome({ message, status, detail, retryAfter, blocked, cause }) {
  const said = `an answer was lost, whether the hub published is unknown: ${message}`;
  return new FanfareError(said, { status, detail, retryAfter, blocked, unknown: true, cause });
}

// Unique is enough. Not every context has `crypto`.
function drawKey() {
  return [Date.now(), Math.random(), Math.random()].join('-');
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
