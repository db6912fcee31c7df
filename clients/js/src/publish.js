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
    token,
    signal,
    headers: {
      'content-type': many ? 'application/x-ndjson' : 'application/json',
      'idempotency-key': key,
    },
    body: many ? events.map(encode).join('\n') : encode(events),
  };
  for (let tried = 1; ; tried += 1) {
    try {
      const { id, ids } = await (await ask(url, request)).json();
      return many ? ids : id;
    } catch (error) {
      const failure = FanfareError.of(error);
      if (signal?.aborted || tried === TRIES || failure.final || failure.blocked || failure.status === 507) {
        throw failure.status || failure.blocked ? failure : unknown(failure);
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

function unknown({ message, cause }) {
  return new FanfareError(`the hub did not answer, whether it published is unknown: ${message}`, { cause });
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
