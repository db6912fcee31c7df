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
  FanfareSource: () => FanfareSource
});
module.exports = __toCommonJS(stdin_exports);
var import_events = require("./events.js");
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;
class FanfareSource extends EventTarget {
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
    const since = searchParams.get("last_event_id") ?? searchParams.get("lastEventId") ?? "";
    const hub = new URL("./", this.url);
    const [topics, types] = [searchParams.getAll("topic"), searchParams.getAll("event")];
    const interval = searchParams.get("interval") ?? void 0;
    this.#events = (0, import_events.connect)(hub, { topics, types, since, interval, ...options });
    this.#events.on(({ type, data, id }) => this.#emit(type, data, id));
    this.#events.on("fanfare.gap", ({ id, reason, requested, resumedFrom }) => {
      const gap = { reason, requested, resumed_from: resumedFrom };
      this.#emit("fanfare.gap", JSON.stringify(gap), id);
    });
    this.#events.on("fanfare.state", (state) => this.#setState(state));
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
    this.#emit("fanfare.state", JSON.stringify({ name, at, reason: reason?.plain() }), "");
    if (this.readyState === OPEN && before !== OPEN) this.#fire(new Event("open"));
    if (this.readyState !== OPEN && before !== this.readyState) this.#fire(new Event("error"));
  }
  #emit(type, data, lastEventId) {
    this.#fire(new MessageEvent(type, { data, lastEventId, origin: new URL(this.url).origin }));
  }
  #fire(event) {
    this.dispatchEvent(event);
    if (["open", "message", "error"].includes(event.type)) this[`on${event.type}`]?.(event);
  }
}
Object.assign(FanfareSource, { CONNECTING, OPEN, CLOSED });
Object.assign(FanfareSource.prototype, { CONNECTING, OPEN, CLOSED });
