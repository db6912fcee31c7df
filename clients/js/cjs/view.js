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
  EMPTY: () => EMPTY,
  identity: () => identity,
  view: () => view
});
module.exports = __toCommonJS(stdin_exports);
var import_events = require("./events.js");
const LIMIT = 100;
const EMPTY = { events: [], state: { name: "connecting" }, gap: void 0 };
function view(hub, { limit = LIMIT, onEvent, onGap, ...options } = {}, changed) {
  const connection = (0, import_events.connect)(hub, options);
  let now = { ...EMPTY, state: connection.state };
  const become = (change) => changed(now = { ...now, ...change });
  connection.on((event) => {
    become({ events: [...now.events, event].slice(-limit) });
    onEvent?.(event);
  });
  connection.on("fanfare.gap", (gap) => {
    become({ gap });
    onGap?.(gap);
  });
  connection.on("fanfare.state", (state) => become({ state }));
  return () => connection.close();
}
const identity = (hub, options = {}) => {
  const { topics, types, since, interval, shared, retry, limit } = options;
  const credentials = [options.token, options.ticket].map((one) => typeof one === "function" ? true : one);
  return JSON.stringify([String(hub), topics, types, since, interval, shared, retry, limit, credentials]);
};
