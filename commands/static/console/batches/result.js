// What a vehicle answered to its part of a fleet command, in one line; decoders.js has the long form.
// All of it is hostile input: any JSON may come, so every part goes through `short`.

import { element, plain } from "../dom.js";
import { explain } from "../words.js";

const MOST_CODES = 8;
const LONGEST_TEXT = 120; // characters; the command's own page has all of it

/** The nodes of one line for a result of a batch. */
export function resultLine({ status, error_code: code, error_message: message, vehicle, started_at, ...result }) {
  if (code) return [...failure(code, message), ...answered(result)];
  if (status === "pending") return [quiet(waiting(vehicle))];
  if (status === "cancelled") return [quiet(started_at ? "Stopped while it ran" : "Never sent"), ...answered(result)];
  if (status === "in_progress") return [...answered(result), quiet("…")];
  const line = answered(result);
  return line.length ? line : [quiet("No answer")];
}

/** Why a vehicle refused is in its own words only; the other messages say what their code says. */
function failure(code, message) {
  const words = element("span", { class: "result-error", title: message }, explain(code)[0]);
  const reason = code === "vehicle_refused" && message;
  return reason ? [words, element("span", { class: "result-reason", title: message }, short(message))] : [words];
}

function waiting(vehicle) {
  return vehicle?.connection_status === "connected" ? "Waits for its turn" : "Waits until the vehicle is connected";
}

/** The number that was read, as {name, unit, text}; null if it is none. */
export function reading({ answers }) {
  const last = asList(answers).at(-1);
  if (last?.type !== "data" || typeof last.value !== "number") return null;
  return { name: short(last.name ?? last.dataId), unit: last.unit ? short(last.unit) : "", text: String(last.value) };
}

const asList = (value) => (Array.isArray(value) ? value : []);

function answered({ answers, answers_left_off: leftOff }) {
  const list = asList(answers);
  if (!list.length) return leftOff ? [quiet("An answer too long for this table")] : [];
  const line = LINES.get(list.at(-1)?.type) ?? anything;
  return line(list, leftOff ?? 0);
}

const LINES = new Map([
  ["dtc", troubleCodes],
  ["summary", troubleCodes],
  ["reading", () => []],
  ["data", value],
  ["cleared", cleared],
]);

function troubleCodes(answers, leftOff) {
  const codes = answers.filter((answer) => answer?.type === "dtc");
  if (!codes.length && !leftOff) return [element("span", { class: "result-good" }, "No trouble codes")];
  const hidden = Math.max(0, codes.length - MOST_CODES) + leftOff;
  const tags = codes.slice(0, MOST_CODES).map(tag);
  return [element("ul", { class: "codes" }, tags, hidden > 0 && element("li", { class: "muted" }, `+ ${hidden} more`))];
}

function tag({ dtcCode, description, confirmed }) {
  const state = confirmed === true ? "confirmed" : confirmed === false ? "not confirmed" : null;
  const title = [description == null ? null : short(description), state].filter(Boolean).join(", ");
  return element("li", { class: "code-tag", title, "data-confirmed": confirmed === true }, short(dtcCode));
}

function value(answers) {
  const last = answers.at(-1);
  const read = reading({ answers });
  const text = read ? element("span", { class: "number", "data-number": read.text }, read.text) : short(last.value);
  return [
    element("span", { class: "result-value", title: short(last.name ?? last.dataId) }, text),
    last.unit ? element("span", { class: "unit" }, short(last.unit)) : "",
  ];
}

function cleared(answers) {
  const { clearedCount: count, dtcCode } = answers.at(-1);
  const what = dtcCode == null ? "" : ` (${short(dtcCode)})`;
  return [element("span", { class: "result-good" }, `${short(count)} cleared${what}`)];
}

const anything = (answers) => [element("code", { class: "result-json" }, short(answers.at(-1)))];

const quiet = (words) => element("span", { class: "muted" }, words);

function short(given) {
  const text = plain(given);
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}
