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
  SharedConnection: () => SharedConnection
});
module.exports = __toCommonJS(stdin_exports);
var import_connection = require("./connection.js");
var import_error = require("./error.js");
var import_lead = require("./lead.js");
const PROTOCOL = 2;
const PING_MS = 5e3;
const MOST_IDS = 1e3;
const MOST_TOLD = 100;
class SharedConnection {
  #settings;
  #name;
  #out;
  #lastEventId;
  #recent = [];
  // the ids this tab has come by, newest last
  #me = `${Date.now()}-${Math.random()}`;
  #channel;
  #lead;
  #connection;
  // the shared one, of the leader
  #leader;
  // whose word counts
  #leaderState = { name: "connecting" };
  #catchingUp;
  // a connection of its own
  #told = [];
  // by the leader meanwhile
  #own;
  // the connection, where none can be shared
  #pinging;
  #silence;
  #end = new AbortController();
  // `group` tells apart who may share: `true`, or a name.
  constructor(settings, group, out) {
    this.#settings = settings;
    this.#name = `fanfare ${PROTOCOL} ${JSON.stringify([settings.url, group])}`;
    this.#lastEventId = settings.lastEventId;
    this.#out = out;
    const { signal } = this.#end;
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    on(globalThis, "pagehide", () => this.#leave());
    on(globalThis, "pageshow", ({ persisted }) => persisted && this.#join());
    on(globalThis.document, "freeze", () => this.#leave());
    on(globalThis.document, "resume", () => this.#join());
    on(globalThis.document, "visibilitychange", () => {
      if (document.hidden) return;
      this.#ping();
      this.#post({ hurry: true });
    });
    this.#join();
  }
  reconnect() {
    if (this.#own) this.#own.reconnect();
    else if (this.#connection) this.#connection.reconnect();
    else if (!this.#channel) {
      this.#out.state({ name: "reconnecting", at: null });
      this.#join();
    } else {
      this.#catchingUp?.reconnect();
      this.#post({ reconnect: true });
    }
  }
  close() {
    this.#leave();
    this.#own?.close();
    this.#end.abort();
  }
  #join() {
    if (this.#channel || this.#own) return;
    try {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#onMessage(data);
      this.#lead = (0, import_lead.seekLead)(this.#name, {
        won: () => this.#takeOver(),
        lost: () => this.#stepDown(),
        failed: (error) => this.#goAlone(error)
      });
    } catch (error) {
      return this.#goAlone(error);
    }
    this.#ask({ hello: true });
    this.#pinging = setInterval(() => this.#ping(), PING_MS);
  }
  #leave() {
    clearInterval(this.#pinging);
    this.#heardLeader();
    this.#lead?.resign();
    this.#channel?.close();
    this.#connection?.close();
    this.#stopCatchingUp();
    this.#lead = this.#channel = this.#connection = this.#leader = void 0;
  }
  #goAlone(error) {
    if (this.#own) return;
    console.warn(`fanfare: this tab has a connection of its own, none can be shared: ${error.message}`);
    this.#leave();
    this.#own = this.#connect(this.#out);
  }
  #connect(out) {
    return new import_connection.Connection({ ...this.#settings, lastEventId: this.#lastEventId }, out);
  }
  #post(what) {
    this.#channel?.postMessage({ from: this.#me, ...what });
  }
  // The leader.
  #takeOver() {
    if (!this.#channel) return;
    this.#heardLeader();
    this.#leader = void 0;
    this.#stopCatchingUp();
    const tell = (what) => {
      const after = this.#lastEventId;
      this.#pass(what);
      this.#post({ after, id: this.#lastEventId, what });
    };
    this.#connection = this.#connect({
      event: (event) => tell({ event }),
      gap: (gap) => tell({ gap }),
      cursor: (cursor) => tell({ cursor }),
      state: (state) => {
        this.#out.state(state);
        if (state.name === "closed") this.#leave();
        else this.#announceLeader();
      }
    });
    this.#announceLeader();
  }
  // Says who leads, and where it stands. A successor says nothing new until its connection does.
  #announceLeader() {
    const { name, at, reason } = this.#connection.state;
    if (name !== "connecting") this.#leaderState = { name, at, reason: reason?.plain() };
    this.#post({ at: this.#lastEventId, came: this.#recent.length > 0, state: this.#leaderState });
  }
  #stepDown() {
    this.#connection?.close();
    this.#connection = void 0;
    this.#ask({ hello: true });
  }
  // Those who follow.
  #onMessage({ from, ...said }) {
    if (this.#connection) {
      if (said.hello || said.ping) this.#announceLeader();
      else if (said.reconnect) this.#connection.reconnect();
      else if (said.hurry) this.#connection.hurry();
    } else if (said.state) {
      this.#heardLeader();
      this.#leaderState = said.state;
      if (this.#leader !== from) this.#follow(from, said);
      else if (!this.#catchingUp) this.#tellState();
    } else if (said.what && from === this.#leader) {
      this.#heardLeader();
      this.#take(said);
    }
  }
  #follow(leader, { at, came }) {
    this.#leader = leader;
    this.#told = [{ id: at }];
    if (this.#catchingUp) return this.#meet();
    if (!this.#lastEventId && came) this.#pass({ cursor: at });
    if (this.#knows(at)) this.#tellState();
    else this.#catchUp();
  }
  // Takes what the leader tells, if that comes next. A tab may know it already: then it is ahead.
  #take(said) {
    if (this.#catchingUp) {
      this.#told.push(said);
      if (this.#told.length > MOST_TOLD) this.#told.shift();
      this.#meet();
    } else if (said.after === this.#lastEventId) {
      this.#pass(said.what);
    } else if (!this.#knows(said.id)) {
      this.#told = [said];
      this.#catchUp();
    }
  }
  #knows(id) {
    return id === this.#lastEventId || this.#recent.includes(id);
  }
  #catchUp() {
    const pass = (what) => {
      this.#pass(what);
      this.#meet();
    };
    this.#catchingUp = this.#connect({
      event: (event) => pass({ event }),
      gap: (gap) => pass({ gap }),
      cursor: (cursor) => pass({ cursor }),
      state: (state) => {
        this.#out.state(state);
        if (state.name === "closed") this.#leave();
      }
    });
  }
  // Ends catching up once there is an id that both have come by.
  #meet() {
    const here = this.#told.findIndex(({ id }) => id === this.#lastEventId);
    if (here < 0 && !this.#knows(this.#told.at(-1)?.id)) return;
    const missing = here < 0 ? [] : this.#told.slice(here + 1);
    this.#stopCatchingUp();
    for (const { what } of missing) this.#pass(what);
    this.#tellState();
  }
  #stopCatchingUp() {
    this.#catchingUp?.close();
    this.#catchingUp = void 0;
    this.#told = [];
  }
  #pass(what) {
    const [[kind, value]] = Object.entries(what);
    const id = kind === "cursor" ? value : value.id;
    if (id) {
      this.#lastEventId = id;
      this.#recent.push(id);
      if (this.#recent.length > MOST_IDS) this.#recent.shift();
    }
    this.#out[kind](value);
  }
  #tellState() {
    const { reason, ...state } = this.#leaderState;
    this.#out.state(reason ? { ...state, reason: new import_error.FanfareError(reason.message, reason) } : state);
  }
  // Whether the leader is still there; frozen, or held up by a dialogue, it leads nobody.
  #ping() {
    const slept = globalThis.document?.hidden && navigator.locks;
    if (!this.#connection && !slept) this.#ask({ ping: true });
  }
  #ask(what) {
    this.#post(what);
    this.#silence ??= setTimeout(() => {
      this.#silence = void 0;
      this.#lead?.take();
    }, PING_MS);
  }
  #heardLeader() {
    clearTimeout(this.#silence);
    this.#silence = void 0;
  }
}
