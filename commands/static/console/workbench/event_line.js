// One line of a command's log, made from an event.

import { decoded } from "../decoders.js";
import { asText, element } from "../dom.js";
import { date, time } from "../format.js";
import { explain, isExplainedByServer } from "../labels.js";

/**
 * hasStarted: whether the command had started before this event. hasDate: whether the line shows the date.
 * vehicle: the ID of the one that has responded.
 */
export function eventLine(event, { hasStarted, hasDate, vehicle }) {
  const [kind, content] = kindAndContent(event, hasStarted, vehicle);
  const meta = element(
    "p",
    { class: "entry-meta" },
    element("span", { class: "sequence", title: "Sequence number" }, `#${event.sequence_number}`),
    time(event.timestamp, "precise"),
    hasDate && element("span", {}, date(event.timestamp)),
    event.is_final && element("span", { class: "tag" }, "last response"),
  );
  return element("li", { class: `entry ${kind}` }, meta, element("div", { class: "entry-body" }, content));
}

function kindAndContent(event, hasStarted, vehicle) {
  if (event.event === "response") return ["answer", decoded(event.response, vehicle)];
  if (event.event === "error") return ["failure", failure(event)];
  return [`step ${asText(event.status)}`, statusChange(event, hasStarted)];
}

/** The text of a line for a screen reader. */
export function lineText(line) {
  const head = line.querySelector(".decoded-head, .entry-body p");
  return head ? [...head.childNodes].map((node) => node.textContent.trim()).join(" ") : "A response as JSON.";
}

function statusChange({ status }, hasStarted) {
  const texts = hasStarted ? AFTER_START[status] : BEFORE_START[status];
  const [fact, meaning] = texts ?? [asText(status), ""];
  return element("p", {}, element("strong", {}, fact), " ", element("span", { class: "muted" }, meaning));
}

const COMPLETED = ["Completed.", "The vehicle has sent all responses."];
const BEFORE_START = {
  pending: ["Submitted.", "It starts when its turn comes and the vehicle is connected."],
  in_progress: ["Started.", "The vehicle is carrying it out."],
  completed: COMPLETED,
  cancelled: ["Cancelled.", "Nothing was sent to the vehicle."],
};
const AFTER_START = {
  pending: ["Released.", "The worker that carried it out is gone. It starts again; the responses above do not count."],
  in_progress: ["Started again.", "Only the responses from here on count."],
  completed: COMPLETED,
  cancelled: ["Cancelled while it ran.", "The vehicle may have carried out a part of it."],
};

function failure({ error_code: code, error_message: message }) {
  const text = asText(message ?? "");
  const [fact, advice] = explain(code, text);
  const detail = !isExplainedByServer(code) && text;
  return [
    element("p", {}, element("strong", {}, fact), " ", advice),
    element("p", { class: "muted" }, element("code", {}, asText(code)), detail ? ` ${detail}` : null),
  ];
}
