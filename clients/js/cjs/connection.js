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
  Connection: () => Connection
});
module.exports = __toCommonJS(stdin_exports);
var import_error = require("./error.js");
var import_hub = require("./hub.js");
const LONGEST_WHILE_YOUNG_MS = 5e3;
const YOUNG_MS = 6e4;
const LONGEST = 30;
const SETTLED_MS = 1e3;
const CLOSED = 2;
class Connection {
  state = { name: "connecting" };
  #settings;
  #out;
  #turn = 0;
  // what an earlier one still brings is void
  #source;
  #timer;
  #failures = 0;
  #liveSince;
  #lostAt;
  // when the outage began
  #end = new AbortController();
  // `url` is the subscription's address, to which `ticket()`, if there is one, adds a ticket each
  // time. `retry` is the first wait in milliseconds. What happens is told to `out`: `event`, `gap`,
  // `cursor` and `state`.
  constructor({ url, ticket, lastEventId, retry, EventSource }, out) {
    this.#settings = { url, ticket, retry, EventSource };
    this.#out = out;
    this.lastEventId = lastEventId ?? "";
    const on = (type, act) => globalThis.addEventListener?.(type, act, { signal: this.#end.signal });
    on("online", () => this.state.name === "reconnecting" && this.reconnect());
    const { document } = globalThis;
    const shown = () => document.hidden || this.hurry();
    document?.addEventListener("visibilitychange", shown, { signal: this.#end.signal });
    on("pagehide", () => this.#release());
    on("pageshow", ({ persisted }) => persisted && this.state.name !== "closed" && this.reconnect());
    this.#attempt();
  }
  // Tries at once, whatever the state; from where it stopped if it was closed by a refusal.
  reconnect() {
    this.#release();
    const { name, reason } = this.state;
    if (name !== "connecting") this.#setState({ name: "reconnecting", at: null, reason });
    this.#attempt();
  }
  // Tries at once, if it waits.
  hurry() {
    if (this.state.at) this.reconnect();
  }
  close() {
    this.#release();
    this.#end.abort();
  }
  async #attempt() {
    const turn = this.#turn;
    try {
      const url = await this.#address(this.lastEventId);
      if (turn === this.#turn) this.#listen(url);
    } catch (error) {
      if (turn === this.#turn) this.#lost(error);
    }
  }
  async #address(lastEventId) {
    const url = new URL(this.#settings.url);
    if (lastEventId) url.searchParams.set("last_event_id", lastEventId);
    const ticket = await this.#settings.ticket?.();
    if (ticket) url.searchParams.set("ticket", ticket);
    return url.href;
  }
  #listen(url) {
    const turn = this.#turn;
    const source = new this.#settings.EventSource(url, { withCredentials: true });
    this.#source = source;
    const on = (type, heard) => source.addEventListener(type, (event) => {
      if (turn !== this.#turn) return;
      if (event.lastEventId) this.lastEventId = event.lastEventId;
      heard(event);
    });
    this.#timer = setTimeout(() => this.#lost(new Error("the hub did not answer")), import_hub.ANSWER_WITHIN_MS);
    on("open", () => {
      clearTimeout(this.#timer);
      this.#liveSince = performance.now();
      this.#setState({ name: "live" });
    });
    on("message", ({ data }) => {
      const { topic, event, published_at, message } = JSON.parse(data);
      const type = event ?? "message";
      this.#out.event({ id: this.lastEventId, type, topic, publishedAt: published_at, data: message });
    });
    on("fanfare.gap", ({ data }) => {
      const { reason, requested, resumed_from } = JSON.parse(data);
      this.#out.gap({ id: this.lastEventId, reason, requested, resumedFrom: resumed_from });
    });
    on("fanfare.cursor", () => this.#out.cursor(this.lastEventId));
    on("fanfare.expired", () => {
      this.#out.cursor(this.lastEventId);
      this.#lost(void 0, { expired: true });
    });
    on("error", () => source.readyState === CLOSED ? this.#refused() : this.#lost());
  }
  // A source does not tell the status it was answered with, so the same is asked once more: with a
  // ticket of its own, for nothing of the past, and let go as soon as the answer's head is here.
  async #refused() {
    this.#release();
    this.#setState({ name: "reconnecting", at: null });
    const turn = this.#turn;
    const request = new AbortController();
    const timer = setTimeout(() => request.abort(), import_hub.ANSWER_WITHIN_MS);
    let reason;
    try {
      const answer = await fetch(await this.#address(""), {
        cache: "no-store",
        credentials: "include",
        headers: { accept: "text/event-stream" },
        signal: request.signal
      });
      const type = answer.headers.get("content-type") ?? "nothing";
      if (!answer.ok) reason = await import_error.FanfareError.from(answer);
      else if (!type.startsWith("text/event-stream")) reason = `${this.#settings.url} answered with ${type}`;
    } catch (error) {
      reason = await (0, import_hub.explain)(this.#settings.url, error);
    } finally {
      clearTimeout(timer);
      request.abort();
    }
    if (turn === this.#turn) this.#lost(reason);
  }
  #lost(error, { expired = false } = {}) {
    this.#release();
    const reason = error && import_error.FanfareError.of(error);
    if (reason?.final) return this.#setState({ name: "closed", reason });
    const settled = performance.now() - (this.#liveSince ?? Infinity) >= SETTLED_MS;
    this.#liveSince = void 0;
    if (settled) this.#failures = 0;
    if (this.#failures === 0) this.#lostAt = performance.now();
    const { retry } = this.#settings;
    const isYoung = performance.now() - this.#lostAt < YOUNG_MS;
    const limit = isYoung ? Math.max(retry, LONGEST_WHILE_YOUNG_MS) : retry * LONGEST;
    const longest = Math.min(retry * 2 ** this.#failures, limit);
    const spread = longest * (0.5 + Math.random() / 2);
    const wait = settled && expired ? 0 : Math.max(spread, (reason?.retryAfter ?? 0) * 1e3);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.reconnect(), wait);
    this.#setState({ name: "reconnecting", at: Date.now() + wait, reason });
  }
  #release() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = void 0;
  }
  #setState(state) {
    this.state = state;
    this.#out.state(state);
  }
}
