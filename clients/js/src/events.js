// Events: what `connect` returns. Who listens, and what is received.

import { Connection } from './connection.js';
import { FanfareError } from './error.js';
import { at, drawTicket } from './hub.js';
import { SharedConnection } from './shared.js';

// How long to wait before the first attempt to reconnect, at most; the hub's own `--retry` is 3 s.
const RETRY_MS = 2_000;

// The most events that wait for a `for await` loop.
const MAX_WAITING = 10_000;

// Every event's type, among the types listened for; none can be empty.
const ALL = '';

export class FanfareEvent {
  constructor({ id, type, topic, publishedAt, data }) {
    Object.assign(this, { id, type, topic, data });
    this.publishedAt = new Date(publishedAt);
  }

  json() {
    return JSON.parse(this.data);
  }
}

export class Events {
  lastEventId = '';
  state = { name: 'connecting' };
  #listeners = new Map();
  #loops = new Set(); // what wakes each `for await`
  #connection;

  constructor(hub, options = {}) {
    const { topics = [], types = [], since = '', interval, token, shared = false, retry = RETRY_MS } = options;
    const EventSource = options.EventSource ?? globalThis.EventSource;
    if (!EventSource) {
      throw new TypeError("there is no EventSource here: give one, such as that of npm's `eventsource`");
    }
    const url = at(hub, 'events');
    for (const topic of [topics].flat()) url.searchParams.append('topic', topic);
    for (const type of [types].flat()) url.searchParams.append('event', type);
    url.searchParams.set('envelope', 'sealed');
    if (interval !== undefined) url.searchParams.set('interval', interval);
    const ticket = options.ticket ?? (token && (() => drawTicket(hub, token)));
    if (shared === true && ticket) {
      throw new TypeError("say whose connection it is: `shared: 'the user'`, not `shared: true`");
    }

    const settings = { url: url.href, ticket, lastEventId: since, retry, EventSource };
    const out = {
      event: (event) => this.#onEvent(new FanfareEvent(event)),
      gap: (gap) => this.#onGap(gap),
      cursor: (id) => (this.lastEventId = id),
      state: (state) => this.#setState(state),
    };
    this.lastEventId = since;
    // Only browsers have tabs.
    this.#connection = shared !== false && globalThis.location
      ? new SharedConnection(settings, shared, out)
      : new Connection(settings, out);
  }

  on(type, listener) {
    if (typeof type === 'function') [type, listener] = [ALL, type];
    const entry = { listener };
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(entry);
    return () => this.#listeners.get(type)?.delete(entry);
  }

  reconnect() {
    this.#connection?.reconnect();
  }

  // Nobody is told of it, as whoever does it knows; loops end.
  close() {
    this.#connection?.close();
    this.#connection = undefined;
    this.#listeners.clear();
    if (this.state.name !== 'closed') this.#enter({ name: 'closed' });
  }

  async *[Symbol.asyncIterator]() {
    const waiting = [];
    let behind = false;
    let resume;
    const wake = () => resume?.();
    const end = this.on((event) => {
      behind ||= waiting.length === MAX_WAITING;
      if (!behind) waiting.push(event);
      wake();
    });
    this.#loops.add(wake);
    try {
      for (;;) {
        if (waiting.length > 0) {
          yield waiting.shift();
        } else if (behind) {
          throw new FanfareError(`this loop was more than ${MAX_WAITING} events behind`);
        } else if (this.state.name === 'closed') {
          if (this.state.reason) throw this.state.reason;
          return;
        } else {
          await new Promise((resolve) => (resume = resolve));
        }
      }
    } finally {
      end();
      this.#loops.delete(wake);
    }
  }

  #onEvent(event) {
    this.lastEventId = event.id;
    this.#emit(event.type, event);
    this.#emit(ALL, event);
  }

  #onGap(gap) {
    this.lastEventId = gap.id;
    if (this.#emit('fanfare.gap', gap) === 0) {
      console.warn(`fanfare: events may have been missed (${gap.reason}); listen for 'fanfare.gap'`);
    }
  }

  #setState(state) {
    this.#enter(state);
    this.#emit('fanfare.state', state);
  }

  #enter(state) {
    this.state = state;
    for (const wake of this.#loops) wake();
  }

  // Calls those who listen; how many they were. One that throws keeps nobody else from hearing.
  #emit(type, what) {
    const listeners = [...(this.#listeners.get(type) ?? [])];
    for (const { listener } of listeners) {
      try {
        listener(what);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return listeners.length;
  }
}

export const connect = (hub, options) => new Events(hub, options);
