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
  seekLead: () => seekLead
});
module.exports = __toCommonJS(stdin_exports);
const OBJECT_WITHIN_MS = 300;
const seekLead = (name, out) => new (navigator.locks ? LockedLead : BroadcastLead)(name, out);
class LockedLead {
  #name;
  #out;
  #left;
  // lets go of the lock
  #end = new AbortController();
  constructor(name, out) {
    this.#name = name;
    this.#out = out;
    this.#request({ signal: this.#end.signal });
  }
  // Takes the lead from a tab that does not answer.
  take() {
    this.#end.abort();
    this.#end = new AbortController();
    this.#request({ steal: true });
  }
  resign() {
    this.#end.abort();
    this.#left?.();
  }
  async #request(options) {
    const { signal } = this.#end;
    try {
      await navigator.locks.request(this.#name, options, () => {
        if (signal.aborted) return;
        this.#out.won();
        return new Promise((resolve) => this.#left = resolve);
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error.name !== "AbortError") return this.#out.failed(error);
      this.#out.lost();
      if (!signal.aborted) this.#request({ signal });
    }
  }
}
class BroadcastLead {
  #number = Math.random();
  #leads = false;
  #channel;
  #timer;
  #out;
  constructor(name, out) {
    this.#out = out;
    this.#channel = new BroadcastChannel(`${name} lead`);
    this.#channel.onmessage = ({ data }) => this.#onMessage(data);
    this.#seek();
  }
  take() {
    this.#seek();
  }
  resign() {
    clearTimeout(this.#timer);
    if (this.#leads) this.#channel.postMessage({ resigned: true });
    this.#channel.close();
  }
  #seek() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#win(), OBJECT_WITHIN_MS);
    this.#channel.postMessage({ seeks: this.#number });
  }
  #win() {
    this.#timer = void 0;
    this.#leads = true;
    this.#channel.postMessage({ leads: this.#number });
    this.#out.won();
  }
  #onMessage({ seeks, leads, resigned }) {
    if (resigned) {
      if (!this.#leads) this.#seek();
    } else if (seeks !== void 0) {
      if (this.#leads) this.#channel.postMessage({ leads: this.#number });
      else if (seeks < this.#number) this.#defer();
      else if (this.#timer) this.#channel.postMessage({ seeks: this.#number });
    } else if (!this.#leads) {
      this.#defer();
    } else if (leads < this.#number) {
      this.#leads = false;
      this.#out.lost();
    } else {
      this.#channel.postMessage({ leads: this.#number });
    }
  }
  #defer() {
    clearTimeout(this.#timer);
    this.#timer = void 0;
  }
}
