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
  connectTurbo: () => connectTurbo
});
module.exports = __toCommonJS(stdin_exports);
var import_source = require("./source.js");
const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';
function connectTurbo(Turbo, url, { onGap, ...options } = {}) {
  const source = new import_source.FanfareSource(url, options);
  Turbo.connectStreamSource(source);
  source.addEventListener("fanfare.gap", ({ data }) => {
    if (onGap) onGap(JSON.parse(data));
    else Turbo.renderStreamMessage(REFRESH);
  });
  return () => {
    Turbo.disconnectStreamSource(source);
    source.close();
  };
}
