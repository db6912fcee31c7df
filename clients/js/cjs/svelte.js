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
  fanfare: () => fanfare
});
module.exports = __toCommonJS(stdin_exports);
var import_view = require("./view.js");
function fanfare(hub, options = {}) {
  const subscribers = /* @__PURE__ */ new Set();
  let now = import_view.EMPTY;
  let end;
  return {
    subscribe(run) {
      const subscriber = { run };
      subscribers.add(subscriber);
      run(now);
      if (typeof window !== "undefined") {
        end ??= (0, import_view.view)(hub, options, (next) => {
          now = next;
          for (const { run: run2 } of [...subscribers]) run2(now);
        });
      }
      return () => {
        subscribers.delete(subscriber);
        if (subscribers.size > 0) return;
        end?.();
        end = void 0;
        now = import_view.EMPTY;
      };
    }
  };
}
