// The responses of one vehicle of a batch, in one line; decoders.js has the long form.
// All of it is hostile input: any JSON may come, so every part goes through `short`.

import { asText, element } from "../dom.js";
import { counted } from "../format.js";
import { isConnected } from "../known_vehicles.js";
import { explain } from "../labels.js";

const MAX_CODES = 8;
const MAX_TEXT = 120; // characters; the command's own page has all of it

/** The nodes of the line. The API calls the responses of a result `answers`. */
export function resultSummary({ status, error_code: code, error_message: message, vehicle, started_at, ...result }) {
  if (code) return [...failure(code, message), ...responses(result)];
  if (status === "pending") return [muted(waitingText(vehicle))];
  if (status === "cancelled") return [muted(started_at ? "Stopped while it ran" : "Never sent"), ...responses(result)];
  if (status === "in_progress") return [...responses(result), muted("…")];
  const line = responses(result);
  return line.length ? line : [muted("No response")];
}

/** Only a refusal needs the vehicle's own message; any other message repeats its code. */
function failure(code, message) {
  const fact = element("span", { class: "result-error", title: message }, explain(code)[0]);
  const reason = code === "vehicle_refused" && message;
  return reason ? [fact, element("span", { class: "result-reason", title: message }, short(message))] : [fact];
}

function waitingText(vehicle) {
  return isConnected(vehicle ?? {}) ? "Waits for its turn" : "Waits until the vehicle is connected";
}

/** The number in the last response, as {name, unit, text}; null if there is none. */
export function reading({ answers }) {
  const last = asList(answers).at(-1);
  if (last?.type !== "data" || typeof last.value !== "number") return null;
  return { name: short(last.name || last.dataId), unit: last.unit ? short(last.unit) : "", text: String(last.value) };
}

const asList = (value) => (Array.isArray(value) ? value : []);

function responses({ answers, answers_left_off: leftOff }) {
  const list = asList(answers);
  if (!list.length) return leftOff ? [muted("A response too long for this table")] : [];
  const line = LINES.get(list.at(-1)?.type) ?? json;
  return line(list, leftOff ?? 0);
}

const LINES = new Map([
  ["dtc", troubleCodes],
  ["summary", troubleCodes],
  ["reading", () => []],
  ["data", value],
  ["cleared", cleared],
  ["snapshot", snapshots],
  ["written", (list) => [good(`Written: ${short(list.at(-1).raw)}`)]],
  ["routine", (list) => [good(`${short(list.at(-1).action)}: ${short(list.at(-1).raw) || "no status record"}`)]],
  ["reset", () => [good("Reset")]],
  ["ecu", scanned],
  ["scan", scanned],
  ["progress", () => []],
]);

function troubleCodes(list, leftOff) {
  const codes = list.filter((response) => response?.type === "dtc");
  if (!codes.length && !leftOff) return [element("span", { class: "result-good" }, "No trouble codes")];
  const hidden = Math.max(0, codes.length - MAX_CODES) + leftOff;
  const tags = codes.slice(0, MAX_CODES).map(codeTag);
  return [element("ul", { class: "codes" }, tags, hidden > 0 && element("li", { class: "muted" }, `+ ${hidden} more`))];
}

function codeTag({ dtcCode, description, confirmed }) {
  const state = confirmed === true ? "confirmed" : confirmed === false ? "not confirmed" : null;
  const title = [description == null ? null : short(description), state].filter(Boolean).join(", ");
  return element("li", { class: "code-tag", title, "data-confirmed": confirmed === true }, short(dtcCode));
}

function value(list) {
  const last = list.at(-1);
  const read = reading({ answers: list });
  const text = read ? element("span", { class: "number", "data-number": read.text }, read.text) : short(last.value);
  return [
    element("span", { class: "result-value", title: short(last.name || last.dataId) }, text),
    last.unit ? element("span", { class: "unit" }, short(last.unit)) : "",
  ];
}

function cleared(list) {
  const { clearedCount: count, dtcCode, verified, remaining } = list.at(-1);
  const code = dtcCode == null ? "" : ` (${short(dtcCode)})`;
  const text = `${short(count)} cleared${code}`;
  if (verified !== false) return [good(text)];
  return [element("span", { class: "result-error" }, `${text}, still stored: ${asList(remaining).length}`)];
}

function snapshots(list, leftOff) {
  const count = list.filter((response) => response?.type === "snapshot").length + leftOff;
  return [good(`${counted(count, "snapshot")} of ${short(list.at(-1).dtcCode)}`)];
}

/** The numbers of a scan, or of its part so far. */
function scanned(list, leftOff) {
  const { type, ecuCount, reachableCount, dtcCount } = list.at(-1);
  if (type !== "scan") return [muted(`${counted(list.length + leftOff, "ECU")} scanned`)];
  const text = `${short(reachableCount)} of ${short(ecuCount)} ECUs, ${short(dtcCount)} trouble codes`;
  return reachableCount === ecuCount ? [good(text)] : [element("span", { class: "result-error" }, text)];
}

const good = (text) => element("span", { class: "result-good" }, text);

const json = (list) => [element("code", { class: "result-json" }, short(list.at(-1)))];

const muted = (text) => element("span", { class: "muted" }, text);

function short(given) {
  const text = asText(given);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
