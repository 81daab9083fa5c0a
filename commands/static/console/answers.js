// The log of one command: a line for each step, a card for each answer, decoded where its type is known.

import { arrange, badge, element, plain, time } from "./dom.js";
import { explain } from "./words.js";

/** `list` is filled; `show(frame)` appends one event, `clear()` starts over. */
export function createAnswers(list) {
  let startedOnce = false;
  return {
    clear() {
      startedOnce = false;
      arrange(list, []);
    },
    show(frame) {
      const givenBack = startedOnce && frame.status === "pending";
      if (givenBack) supersede(list);
      list.append(entry(frame, startedOnce));
      startedOnce ||= frame.status === "in_progress";
    },
  };
}

function supersede(list) {
  for (const answer of list.querySelectorAll(".answer:not(.superseded)")) {
    answer.classList.add("superseded");
    answer.querySelector(".entry-meta").append(element("span", { class: "tag" }, "does not count"));
  }
}

function entry(frame, startedOnce) {
  if (frame.event === "response") return line(frame, "answer", answer(frame));
  if (frame.event === "error") return line(frame, "failure", failure(frame));
  return line(frame, `step ${plain(frame.status)}`, step(frame, startedOnce));
}

function line(frame, kind, content) {
  const meta = element(
    "p",
    { class: "entry-meta" },
    element("span", { class: "sequence", title: "Sequence number" }, `#${frame.sequence_number}`),
    time(frame.timestamp, { precise: true }),
    frame.is_final && element("span", { class: "tag" }, "last answer"),
  );
  return element("li", { class: `entry ${kind}` }, meta, element("div", { class: "entry-body" }, content));
}

function step({ status }, startedOnce) {
  const [what, meaning] = stepWords(status, startedOnce);
  return element("p", {}, element("strong", {}, what), " ", element("span", { class: "muted" }, meaning));
}

function stepWords(status, startedOnce) {
  switch (status) {
    case "pending":
      return startedOnce
        ? ["Given back.", "The worker that carried it out is gone. It starts again; the answers above do not count."]
        : ["Submitted.", "It starts when its turn comes and the vehicle is connected."];
    case "in_progress":
      return startedOnce
        ? ["Started again.", "Only the answers from here on count."]
        : ["Started.", "The vehicle is carrying it out."];
    case "completed":
      return ["Completed.", "The vehicle has answered everything."];
    case "cancelled":
      return startedOnce
        ? ["Cancelled while it ran.", "The vehicle may have carried out a part of it."]
        : ["Cancelled.", "Nothing was sent to the vehicle."];
    default:
      return [plain(status), ""];
  }
}

function failure({ error_code: code, error_message: message }) {
  const [what, toDo] = explain(code);
  return [
    element("p", {}, element("strong", {}, what), " ", toDo),
    element("p", { class: "muted" }, element("code", {}, plain(code)), message ? ` ${plain(message)}` : null),
  ];
}

function answer({ response }) {
  const decode = DECODERS.get(response?.type);
  if (!decode) return element("pre", { class: "json" }, JSON.stringify(response, null, 2) ?? "");
  return [decode(response), rawJson(response)];
}

function rawJson(response) {
  return element(
    "details",
    { class: "raw" },
    element("summary", {}, "Raw JSON"),
    element("pre", { class: "json" }, JSON.stringify(response, null, 2)),
  );
}

const DECODERS = new Map([
  ["dtc", troubleCode],
  ["summary", ({ dtcCount }) => headline(count(dtcCount, "trouble code"), "stored", dtcCount === 0)],
  ["reading", ({ ecuAddress, dataId }) => note("Reading", dataId, ecuAddress && ["from control unit", ecuAddress])],
  ["data", dataValue],
  ["cleared", ({ clearedCount }) => headline(count(clearedCount, "trouble code"), "cleared", true)],
]);

function troubleCode({ dtcCode, description, ecuAddress, status, statusBits, confirmed }) {
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("strong", { class: "code" }, plain(dtcCode)),
      element("span", { class: "vehicle-text" }, plain(description)),
      typeof confirmed === "boolean" &&
        badge(confirmed ? "confirmed" : "unconfirmed", confirmed ? "Confirmed" : "Not confirmed"),
    ),
    facts([
      ["Control unit", ecuAddress],
      ["Status byte", status],
    ]),
    Array.isArray(statusBits) && statusBits.length > 0 && bits(statusBits),
  );
}

function bits(names) {
  const items = names.map((name) => element("li", { title: plain(name) }, spaced(plain(name))));
  return element("ul", { class: "bits", "aria-label": "Status bits that are set" }, items);
}

function dataValue({ dataId, name, value, unit, raw, ecuAddress }) {
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("span", { class: "vehicle-text" }, plain(name ?? dataId)),
      element("strong", { class: "value" }, plain(value)),
      unit && element("span", { class: "muted" }, plain(unit)),
    ),
    facts([
      ["Data identifier", dataId],
      ["Control unit", ecuAddress],
      ["Raw", raw],
    ]),
  );
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value != null);
  const items = known.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, plain(value))),
  );
  return items.length > 0 && element("dl", { class: "facts" }, items);
}

function headline(what, rest, good) {
  return element(
    "p",
    { class: "decoded-head", "data-good": good },
    element("strong", {}, what),
    element("span", {}, rest),
  );
}

function note(what, subject, origin) {
  return element(
    "p",
    {},
    `${what} `,
    subject != null && element("code", {}, plain(subject)),
    origin && [` ${origin[0]} `, element("code", {}, plain(origin[1]))],
    " …",
  );
}

const count = (number, noun) => `${number === 0 ? "No" : plain(number)} ${noun}${number === 1 ? "" : "s"}`;

/** "testFailedSinceLastClear" → "test failed since last clear" */
const spaced = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .replace("dtc", "DTC");
