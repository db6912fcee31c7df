// A tab's side of a connection that the tabs of one browser share through a SharedWorker; where
// that cannot be had, a connection of its own.
//
// What must hold: whatever happens to the worker, the tab goes on after the last id it received.
// Worker and tab each hold a lock for as long as they live, since a port does not tell that its
// other end has died. Without locks (they need a secure context) the browser still ends the worker,
// and its connections, with the last tab.

import { Connection } from './connection.js';
import { FanfareError } from './error.js';

// How long the worker may take to load before the tab connects by itself.
const LOAD_WITHIN_MS = 5_000;

// In the worker's name, so that a page and a worker of different versions do not meet.
const PROTOCOL = 1;

export class SharedConnection {
  #settings;
  #group;
  #out;
  #lastEventId;
  #port;
  #left; // lets go of the lock by which the worker knows that this tab lives
  #own; // the connection of its own
  #end = new AbortController();

  // `group` tells apart who may share: `true`, or a name.
  constructor(settings, group, out) {
    this.#settings = settings;
    this.#group = group;
    this.#lastEventId = settings.lastEventId;
    const remember = (tell) => (what) => {
      this.#lastEventId = what.id;
      tell(what);
    };
    this.#out = {
      event: remember(out.event),
      gap: remember(out.gap),
      cursor: (id) => out.cursor((this.#lastEventId = id)),
      state: ({ reason, ...state }) =>
        out.state(reason ? { ...state, reason: new FanfareError(reason.message, reason) } : state),
    };
    const { signal } = this.#end;
    // As a connection of its own does.
    globalThis.addEventListener?.('pagehide', () => this.#leave(), { signal });
    globalThis.addEventListener?.('pageshow', ({ persisted }) => persisted && this.#join(), { signal });
    this.#join();
  }

  reconnect() {
    if (this.#own) this.#own.reconnect();
    else this.#port?.postMessage({ reconnect: true });
  }

  close() {
    this.#leave();
    this.#own?.close();
    this.#end.abort();
  }

  #join() {
    if (this.#own) return;
    let worker;
    try {
      const name = `fanfare-${PROTOCOL}`;
      worker = new SharedWorker(new URL('./worker.js', import.meta.url), { type: 'module', name });
    } catch {
      return this.#goAlone(); // the worker's file is of another origin, or workers are forbidden
    }
    const port = (this.#port = worker.port);
    const late = setTimeout(() => this.#goAlone(port), LOAD_WITHIN_MS);
    worker.onerror = () => this.#goAlone(port);
    port.onmessage = ({ data }) => {
      if (port !== this.#port) return;
      if ('hello' in data) {
        clearTimeout(late);
        worker.onerror = null;
        this.#enter(port, data.hello);
      } else if ('ask' in data) {
        this.#answer(port, data.ask);
      } else {
        for (const [what, value] of Object.entries(data)) this.#out[what](value);
      }
    };
  }

  // Asks to be told, once the worker can know that this tab has died.
  #enter(port, workerLock) {
    const { url, retry, ticket } = this.#settings;
    const join = { url, retry, ticketed: Boolean(ticket), group: this.#group };
    if (!navigator.locks) {
      return port.postMessage({ join: { ...join, lastEventId: this.#lastEventId } });
    }
    const lock = `fanfare-tab-${crypto.randomUUID()}`;
    const left = new Promise((resolve) => (this.#left = resolve));
    navigator.locks.request(lock, () => {
      if (port !== this.#port) return;
      port.postMessage({ join: { ...join, lock, lastEventId: this.#lastEventId } });
      return left;
    });
    const { signal } = this.#end;
    const died = () => {
      if (port !== this.#port) return;
      this.#leave();
      this.#join();
    };
    navigator.locks.request(workerLock, { signal }, died).catch(() => {});
  }

  #leave() {
    this.#port?.postMessage({ leave: true });
    this.#left?.();
    this.#port?.close();
    this.#port = undefined;
  }

  #goAlone(port) {
    if (port !== this.#port) return;
    this.#leave();
    this.#own = new Connection({ ...this.#settings, lastEventId: this.#lastEventId }, this.#out);
  }

  // The worker holds no credentials: for each ticket it asks a tab.
  async #answer(port, ask) {
    try {
      port.postMessage({ ask, ticket: await this.#settings.ticket() });
    } catch (error) {
      port.postMessage({ ask, error: FanfareError.of(error).plain() });
    }
  }
}
