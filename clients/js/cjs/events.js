var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var stdin_exports = {};
__export(stdin_exports, {
  Events: () => Events,
  FanfareEvent: () => FanfareEvent,
  connect: () => connect
});
module.exports = __toCommonJS(stdin_exports);
var import_connection = require("./connection.js");
var import_error = require("./error.js");
var import_hub = require("./hub.js");
var import_shared = require("./shared.js");
const RETRY_MS = 2e3;
const MAX_WAITING = 1e4;
const ALL = "";
class FanfareEvent {
  constructor({ id, type, topic, publishedAt, data }) {
    Object.assign(this, { id, type, topic, data });
    this.publishedAt = new Date(publishedAt);
  }
  json() {
    return JSON.parse(this.data);
  }
}
class Events {
  lastEventId = "";
  state = { name: "connecting" };
  #listeners = /* @__PURE__ */ new Map();
  #loops = /* @__PURE__ */ new Set();
  // what wakes each `for await`
  #connection;
  constructor(hub, options = {}) {
    const { topics = [], types = [], since = "", interval, token, shared = false, retry = RETRY_MS } = options;
    const EventSource = options.EventSource ?? globalThis.EventSource;
    if (!EventSource) {
      throw new TypeError("there is no EventSource here: give one, such as that of npm's `eventsource`");
    }
    const url = (0, import_hub.at)(hub, "events");
    for (const topic of [topics].flat()) url.searchParams.append("topic", topic);
    for (const type of [types].flat()) url.searchParams.append("event", type);
    url.searchParams.set("envelope", "sealed");
    if (interval !== void 0) url.searchParams.set("interval", interval);
    const ticket = options.ticket ?? (token && (() => (0, import_hub.drawTicket)(hub, token)));
    if (shared === true && ticket) {
      throw new TypeError("say whose connection it is: `shared: 'the user'`, not `shared: true`");
    }
    const settings = { url: url.href, ticket, lastEventId: since, retry, EventSource };
    const out = {
      event: (event) => this.#onEvent(new FanfareEvent(event)),
      gap: (gap) => this.#onGap(gap),
      cursor: (id) => this.lastEventId = id,
      state: (state) => this.#setState(state)
    };
    this.lastEventId = since;
    this.#connection = shared !== false && globalThis.location ? new import_shared.SharedConnection(settings, shared, out) : new import_connection.Connection(settings, out);
  }
  on(type, listener) {
    if (typeof type === "function") [type, listener] = [ALL, type];
    const entry = { listener };
    if (!this.#listeners.has(type)) this.#listeners.set(type, /* @__PURE__ */ new Set());
    this.#listeners.get(type).add(entry);
    return () => this.#listeners.get(type)?.delete(entry);
  }
  reconnect() {
    this.#connection?.reconnect();
  }
  // Nobody is told of it, as whoever does it knows; loops end.
  close() {
    this.#connection?.close();
    this.#connection = void 0;
    this.#listeners.clear();
    if (this.state.name !== "closed") this.#enter({ name: "closed" });
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
      for (; ; ) {
        if (waiting.length > 0) {
          yield waiting.shift();
        } else if (behind) {
          throw new import_error.FanfareError(`this loop was more than ${MAX_WAITING} events behind`);
        } else if (this.state.name === "closed") {
          if (this.state.reason) throw this.state.reason;
          return;
        } else {
          await new Promise((resolve) => resume = resolve);
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
    if (this.#emit("fanfare.gap", gap) === 0) {
      console.warn(`fanfare: events may have been missed (${gap.reason}); listen for 'fanfare.gap'`);
    }
  }
  #setState(state) {
    this.#enter(state);
    this.#emit("fanfare.state", state);
  }
  #enter(state) {
    this.state = state;
    for (const wake of this.#loops) wake();
  }
  // Calls those who listen; how many they were. One that throws keeps nobody else from hearing.
  #emit(type, what) {
    const listeners = [...this.#listeners.get(type) ?? []];
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
const connect = (hub, options) => new Events(hub, options);
