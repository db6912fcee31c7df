// A subscription with the interface of `EventSource`, for what is made to take one: it is never done
// for good but by a refusal, and shares its connection if it is told to.
//
// Beside the application's events it has `fanfare.gap` and `fanfare.state`, whose data is JSON.

import { connect } from './events.js';

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

export class FanfareSource extends EventTarget {
  readyState = CONNECTING;
  onopen = null;
  onmessage = null;
  onerror = null;
  #events;

  // `url` is that of a hub's stream, such as `/sse/events?topic=orders/*`.
  constructor(url, options = {}) {
    super();
    this.url = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
    this.withCredentials = true;
    const { searchParams } = new URL(this.url);
    const since = searchParams.get('last_event_id') ?? searchParams.get('lastEventId') ?? '';
    const hub = new URL('./', this.url);
    const [topics, types] = [searchParams.getAll('topic'), searchParams.getAll('event')];
    const interval = searchParams.get('interval') ?? undefined;
    this.#events = connect(hub, { topics, types, since, interval, ...options });
    this.#events.on(({ type, data, id }) => this.#emit(type, data, id));
    this.#events.on('fanfare.gap', ({ id, reason, requested, resumedFrom }) => {
      const gap = { reason, requested, resumed_from: resumedFrom };
      this.#emit('fanfare.gap', JSON.stringify(gap), id);
    });
    this.#events.on('fanfare.state', (state) => this.#setState(state));
  }

  get lastEventId() {
    return this.#events.lastEventId;
  }

  close() {
    this.#events.close();
    this.readyState = CLOSED;
  }

  #setState(state) {
    const before = this.readyState;
    this.readyState = { live: OPEN, closed: CLOSED }[state.name] ?? CONNECTING;
    const { name, at, reason } = state;
    this.#emit('fanfare.state', JSON.stringify({ name, at, reason: reason?.plain() }), '');
    if (this.readyState === OPEN && before !== OPEN) this.#fire(new Event('open'));
    if (this.readyState !== OPEN && before !== this.readyState) this.#fire(new Event('error'));
  }

  #emit(type, data, lastEventId) {
    this.#fire(new MessageEvent(type, { data, lastEventId, origin: new URL(this.url).origin }));
  }

  #fire(event) {
    this.dispatchEvent(event);
    if (['open', 'message', 'error'].includes(event.type)) this[`on${event.type}`]?.(event);
  }
}

Object.assign(FanfareSource, { CONNECTING, OPEN, CLOSED });
Object.assign(FanfareSource.prototype, { CONNECTING, OPEN, CLOSED });
