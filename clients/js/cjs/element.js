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
  FanfareFeed: () => FanfareFeed,
  defineFeed: () => defineFeed
});
module.exports = __toCommonJS(stdin_exports);
var import_events = require("./events.js");
const LIMIT = 100;
const FIELDS = {
  data: ({ data }) => data,
  topic: ({ topic }) => topic,
  type: ({ type }) => type,
  id: ({ id }) => id,
  time: ({ publishedAt }) => publishedAt.toLocaleTimeString()
};
const Element = globalThis.HTMLElement ?? class {
};
class FanfareFeed extends Element {
  static observedAttributes = ["hub", "topic", "type", "since", "shared"];
  // Where the hub is, for those that do not say it.
  static hub = "/sse";
  #options = {};
  #events;
  #about;
  // what it has listened to
  #stood;
  // where it was when it last stopped
  #due = false;
  // What attributes cannot say: `token`, `ticket`, `retry`.
  set options(options) {
    this.#options = options;
    this.#renew();
  }
  get options() {
    return this.#options;
  }
  get events() {
    return this.#events;
  }
  connectedCallback() {
    if (!this.hasAttribute("role")) this.setAttribute("role", "log");
    this.#renew();
  }
  disconnectedCallback() {
    this.#stop();
  }
  attributeChangedCallback() {
    this.#renew();
  }
  // Once for all attributes that change together.
  #renew() {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#stop();
      if (this.isConnected) this.#listen();
    });
  }
  #stop() {
    if (!this.#events) return;
    this.#stood = this.#events.lastEventId;
    this.#events.close();
    this.#events = void 0;
  }
  #listen() {
    const list = (name) => this.getAttribute(name)?.split(/\s+/).filter(Boolean) ?? [];
    const hub = this.getAttribute("hub") ?? this.constructor.hub;
    const shared = this.hasAttribute("shared") && (this.getAttribute("shared") || true);
    const asked = { topics: list("topic"), types: list("type"), since: this.getAttribute("since") ?? "", shared };
    const options = { ...asked, ...this.#options };
    const about = JSON.stringify([String(hub), options.topics, options.since]);
    const since = about === this.#about ? this.#stood : options.since;
    const events = (0, import_events.connect)(hub, { ...options, since });
    this.#about = about;
    this.#events = events;
    events.on((event) => {
      if (this.#emit("fanfare-event", event)) this.#show(event);
    });
    events.on("fanfare.gap", (gap) => this.#emit("fanfare-gap", gap));
    events.on("fanfare.state", (state) => {
      this.setAttribute("state", state.name);
      this.#emit("fanfare-state", state);
    });
    this.setAttribute("state", events.state.name);
  }
  // Whether nobody prevented what comes next.
  #emit(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, cancelable: true }));
  }
  #show(event) {
    const template = this.querySelector(":scope > template");
    const shown = document.createElement("div");
    shown.className = "fanfare-event";
    shown.dir = "auto";
    if (template) shown.append(template.content.cloneNode(true));
    else shown.textContent = event.data;
    for (const place of shown.querySelectorAll("[data-fanfare]")) {
      place.textContent = FIELDS[place.dataset.fanfare]?.(event) ?? "";
    }
    this.append(shown);
    const limit = Number(this.getAttribute("limit")) || LIMIT;
    const all = this.querySelectorAll(":scope > .fanfare-event");
    for (const old of [...all].slice(0, -limit)) old.remove();
  }
}
function defineFeed(hub) {
  if (hub) FanfareFeed.hub = hub;
  globalThis.customElements?.get("fanfare-feed") ?? globalThis.customElements?.define("fanfare-feed", FanfareFeed);
}
