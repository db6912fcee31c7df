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
  connectHtmx: () => connectHtmx
});
module.exports = __toCommonJS(stdin_exports);
var import_hub = require("./hub.js");
var import_source = require("./source.js");
function connectHtmx(htmx, hub, options = {}) {
  const before = htmx.createEventSource ?? ((url) => new EventSource(url, { withCredentials: true }));
  const stream = (0, import_hub.at)(hub, "events");
  const stood = /* @__PURE__ */ new Map();
  htmx.createEventSource = (url) => {
    const { href, origin, pathname } = new URL(url, document.baseURI);
    if (origin !== stream.origin || pathname !== stream.pathname) return before(url);
    const since = stood.get(href);
    stood.delete(href);
    const source = new import_source.FanfareSource(href, since ? { ...options, since } : options);
    source.addEventListener("error", () => {
      if (source.readyState === import_source.FanfareSource.CLOSED) stood.set(href, source.lastEventId);
    });
    return source;
  };
}
