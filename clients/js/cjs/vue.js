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
var import_vue = require("vue");
var import_view = require("./view.js");
function useFanfare(hub, options = {}) {
  const now = (0, import_vue.shallowReactive)({ ...import_view.EMPTY });
  let end;
  if (typeof window !== "undefined") {
    (0, import_vue.watch)(
      () => (0, import_view.identity)((0, import_vue.toValue)(hub), (0, import_vue.toValue)(options)),
      () => {
        end?.();
        Object.assign(now, import_view.EMPTY);
        end = (0, import_view.view)((0, import_vue.toValue)(hub), (0, import_vue.toValue)(options), (next) => Object.assign(now, next));
      },
      { immediate: true }
    );
    (0, import_vue.onScopeDispose)(() => end?.());
  }
  return (0, import_vue.toRefs)(now);
}
