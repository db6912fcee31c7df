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
  FanfareError: () => FanfareError
});
module.exports = __toCommonJS(stdin_exports);
const TRANSIENT = [408, 425, 429];
class FanfareError extends Error {
  name = "FanfareError";
  constructor(message, { status, detail, retryAfter, blocked, unknown, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { status, detail, retryAfter, blocked, unknown });
  }
  // Whether the same request will fail again however often it is made.
  get final() {
    return this.status >= 400 && this.status < 500 && !TRANSIENT.includes(this.status);
  }
  // Of whatever was thrown. An application's own error may carry a `status` too.
  static of(error) {
    if (error instanceof FanfareError) return error;
    const { message = String(error), status, detail } = error ?? {};
    return new FanfareError(message, { status, detail, cause: error });
  }
  // Of an answer that is not what was asked for.
  static async from(answer) {
    const { detail } = await answer.json().catch(() => ({})) ?? {};
    const retryAfter = Number(answer.headers.get("retry-after")) || void 0;
    const said = describe(detail);
    const message = `the hub answered ${answer.status}${said ? `: ${said}` : ""}`;
    return new FanfareError(message, { status: answer.status, detail, retryAfter });
  }
  // What of it can be sent to another tab.
  plain() {
    const { message, status, detail, blocked } = this;
    return { message, status, detail, blocked };
  }
}
function describe(detail) {
  if (!Array.isArray(detail)) return typeof detail === "string" ? detail : "";
  return detail.map(({ loc, msg }) => `${loc?.at(-1)}: ${msg}`).join("; ");
}
