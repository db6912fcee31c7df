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
  useFanfare: () => useFanfare
});
module.exports = __toCommonJS(stdin_exports);
var import_react = require("react");
var import_view = require("./view.js");
function useFanfare(hub, options = {}) {
  const [now, setNow] = (0, import_react.useState)(import_view.EMPTY);
  const latest = (0, import_react.useRef)(options);
  latest.current = options;
  const call = (name) => (...given) => latest.current[name]?.(...given);
  (0, import_react.useEffect)(() => {
    const functions = { onEvent: call("onEvent"), onGap: call("onGap") };
    for (const name of ["token", "ticket"]) {
      if (typeof options[name] === "function") functions[name] = call(name);
    }
    setNow(import_view.EMPTY);
    return (0, import_view.view)(hub, { ...options, ...functions }, setNow);
  }, [(0, import_view.identity)(hub, options)]);
  return now;
}
