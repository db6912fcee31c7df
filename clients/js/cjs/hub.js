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
  ANSWER_WITHIN_MS: () => ANSWER_WITHIN_MS,
  ask: () => ask,
  at: () => at,
  drawTicket: () => drawTicket
});
module.exports = __toCommonJS(stdin_exports);
var import_error = require("./error.js");
const ANSWER_WITHIN_MS = 1e4;
function at(hub, path) {
  const base = new URL(hub, globalThis.document?.baseURI ?? globalThis.location?.href);
  base.search = base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return new URL(path, base);
}
async function ask(url, { token, headers, signal, ...request }) {
  const bearer = typeof token === "function" ? await token() : token;
  const timeout = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const either = new AbortController();
  for (const one of [signal, timeout]) {
    if (one?.aborted) either.abort(one.reason);
    one?.addEventListener("abort", () => either.abort(one.reason), { once: true });
  }
  const answer = await fetch(url, {
    cache: "no-store",
    credentials: "include",
    ...request,
    headers: bearer ? { ...headers, authorization: `Bearer ${bearer}` } : headers,
    signal: either.signal
  });
  if (!answer.ok) throw await import_error.FanfareError.from(answer);
  return answer;
}
async function drawTicket(hub, token) {
  const answer = await ask(at(hub, "ticket"), { method: "POST", token });
  return (await answer.json()).ticket;
}
