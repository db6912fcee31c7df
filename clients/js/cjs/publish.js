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
  publish: () => publish
});
module.exports = __toCommonJS(stdin_exports);
var import_error = require("./error.js");
var import_hub = require("./hub.js");
const TRIES = 3;
const PAUSE_MS = 500;
const MAX_PAUSE_MS = 1e4;
async function publish(hub, events, options = {}) {
  const { token, signal, key = drawKey() } = options;
  const url = (0, import_hub.at)(hub, "send");
  const many = Array.isArray(events);
  const request = {
    method: "POST",
    signal,
    headers: {
      "content-type": many ? "application/x-ndjson" : "application/json",
      "idempotency-key": key
    },
    body: many ? events.map(encode).join("\n") : encode(events)
  };
  let unknown = false;
  for (let tried = 1; ; tried += 1) {
    let sent = false;
    try {
      const bearer = typeof token === "function" ? await token() : token;
      sent = !signal?.aborted;
      const { id, ids } = await (await (0, import_hub.ask)(url, { ...request, token: bearer })).json();
      return many ? ids : id;
    } catch (error) {
      const failure = import_error.FanfareError.of(error);
      unknown ||= sent && mayHavePublished(failure);
      if (signal?.aborted || tried === TRIES || failure.final || failure.status === 507) {
        throw unknown ? ofUnknownOutcome(failure) : failure;
      }
      const pause = failure.retryAfter ? failure.retryAfter * 1e3 : PAUSE_MS * 2 ** tried;
      await sleep(Math.min(pause, MAX_PAUSE_MS) * (0.5 + Math.random() / 2), signal);
    }
  }
}
function encode({ topic, event, message }) {
  const text = typeof message === "string" ? message : JSON.stringify(message);
  return JSON.stringify({ topic, event, message: text });
}
function mayHavePublished({ status, detail }) {
  if (!status) return true;
  return status >= 500 && (![503, 507].includes(status) || /unknown/.test(detail));
}
function ofUnknownOutcome({ message, status, detail, retryAfter, blocked, cause }) {
  const said = `an answer was lost, whether the hub published is unknown: ${message}`;
  return new import_error.FanfareError(said, { status, detail, retryAfter, blocked, unknown: true, cause });
}
function drawKey() {
  return [Date.now(), Math.random(), Math.random()].join("-");
}
function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
