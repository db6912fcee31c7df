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
  drawTicket: () => drawTicket,
  explain: () => explain
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
  let answer;
  try {
    answer = await fetch(url, {
      cache: "no-store",
      credentials: "include",
      ...request,
      headers: bearer ? { ...headers, authorization: `Bearer ${bearer}` } : headers,
      signal: either.signal
    });
  } catch (error) {
    throw await explain(url, error);
  }
  if (!answer.ok) throw await import_error.FanfareError.from(answer);
  return answer;
}
const told = /* @__PURE__ */ new Set();
async function explain(url, error) {
  const { origin } = new URL(url);
  const page = globalThis.location?.origin;
  if (!(error instanceof TypeError) || !page || page === origin) return error;
  const probe = new AbortController();
  const timer = setTimeout(() => probe.abort(), ANSWER_WITHIN_MS);
  try {
    await fetch(url, { mode: "no-cors", cache: "no-store", signal: probe.signal });
  } catch {
    return error;
  } finally {
    clearTimeout(timer);
    probe.abort();
  }
  const message = `${origin} answered, but pages of ${page} may not read it: start the hub with --allow-origin ${page}, or --dev while developing on this machine (or a proxy answered in its place)`;
  if (!told.has(origin)) console.error(`fanfare: ${message}`);
  told.add(origin);
  return new import_error.FanfareError(message, { blocked: true, cause: error });
}
async function drawTicket(hub, token) {
  const answer = await ask(at(hub, "ticket"), { method: "POST", token });
  return (await answer.json()).ticket;
}
