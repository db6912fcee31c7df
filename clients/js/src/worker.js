// The worker that keeps one connection for all tabs that want the same.
//
// What must hold: each tab hears everything after the id it came with, once and in order. A tab that
// comes with an id which is not where the shared connection stands catches up through a connection of
// its own, and changes over at a moment when both have the same last id. All this is on one thread.

import { Connection } from './connection.js';
import { FanfareError } from './error.js';

// How long a tab may take to draw a ticket before another one is asked.
const ANSWER_WITHIN_MS = 15_000;

const feeds = new Map();

// Held while this worker lives: the tabs wait for it.
const lock = `fanfare-worker-${Math.random()}`;
navigator.locks?.request(lock, () => new Promise(() => {}));

// What several tabs listen to.
class Feed {
  tabs = new Set();

  constructor(key, { url, retry, ticketed, lastEventId }) {
    this.key = key;
    const ticket = ticketed ? () => this.#ticket() : undefined;
    this.settings = { url, retry, ticket, EventSource };
    this.connection = new Connection({ ...this.settings, lastEventId }, this.#out(() => this.#live()));
  }

  add(tab, lastEventId) {
    this.tabs.add(tab);
    const shared = this.connection;
    if (!lastEventId || lastEventId === shared.lastEventId) {
      if (shared.state.name === 'closed') shared.reconnect();
      return this.#changeOver(tab);
    }
    const settings = { ...this.settings, lastEventId };
    tab.catchingUp = new Connection(settings, this.#out(() => [tab]));
  }

  remove(tab) {
    tab.catchingUp?.close();
    this.tabs.delete(tab);
    if (this.tabs.size > 0) return;
    this.connection.close();
    feeds.delete(this.key);
  }

  #live() {
    return [...this.tabs].filter((tab) => !tab.catchingUp);
  }

  #changeOver(tab) {
    tab.catchingUp?.close();
    tab.catchingUp = undefined;
    const { lastEventId, state } = this.connection;
    if (lastEventId) tab.post({ cursor: lastEventId });
    tab.post({ state: plain(state) });
  }

  // What a connection tells, passed on to tabs.
  #out(tabs) {
    const pass = (what) => {
      for (const tab of tabs()) tab.post(what);
    };
    const passAndMeet = (what) => {
      pass(what);
      for (const tab of this.tabs) {
        if (tab.catchingUp?.lastEventId === this.connection.lastEventId) this.#changeOver(tab);
      }
    };
    return {
      event: (event) => passAndMeet({ event }),
      gap: (gap) => passAndMeet({ gap }),
      cursor: (cursor) => passAndMeet({ cursor }),
      state: (state) => pass({ state: plain(state) }),
    };
  }

  // The newest tab first: it is the likeliest to be awake.
  async #ticket() {
    let refusal;
    for (const tab of [...this.tabs].reverse()) {
      try {
        return await tab.drawTicket();
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }
}

class Tab {
  #port;
  #feed;
  #asked = new Map();

  constructor(port) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      if (data.join) this.#join(data.join);
      else if (data.reconnect) (this.catchingUp ?? this.#feed?.connection)?.reconnect();
      else if (data.leave) this.#leave();
      else this.#asked.get(data.ask)?.(data);
    };
    this.post({ hello: lock });
  }

  post(what) {
    this.#port.postMessage(what);
  }

  drawTicket() {
    return new Promise((resolve, reject) => {
      const ask = Math.random();
      const answered = ({ ticket, error }) => {
        clearTimeout(timer);
        this.#asked.delete(ask);
        if (ticket) resolve(ticket);
        else reject(new FanfareError(error.message, error));
      };
      const silent = { error: { message: 'the tab that was asked for a ticket did not answer' } };
      const timer = setTimeout(() => answered(silent), ANSWER_WITHIN_MS);
      this.#asked.set(ask, answered);
      this.post({ ask });
    });
  }

  #join(wanted) {
    const key = JSON.stringify([wanted.url, wanted.group]);
    this.#feed = feeds.get(key);
    if (!this.#feed) feeds.set(key, (this.#feed = new Feed(key, wanted)));
    this.#feed.add(this, wanted.lastEventId);
    if (wanted.lock) navigator.locks.request(wanted.lock, () => this.#leave());
  }

  #leave() {
    this.#feed?.remove(this);
    this.#feed = undefined;
    for (const answered of this.#asked.values()) answered({ error: { message: 'the tab has gone' } });
    this.#port.close();
  }
}

function plain(state) {
  return state.reason ? { ...state, reason: state.reason.plain() } : state;
}

globalThis.onconnect = ({ ports: [port] }) => new Tab(port);
