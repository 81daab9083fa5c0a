// The parts of a command as they are shown everywhere.

import { asText, badge, element } from "./dom.js";
import { duration, time } from "./format.js";
import { ENDED, explain, PARAMETER_LABELS, STATUS_LABELS } from "./labels.js";
import { viewer } from "./site.js";

export const commandAddress = (id) => `/commands/${encodeURIComponent(id)}/`;
export const batchAddress = (id) => `/batches/${encodeURIComponent(id)}/`;

export const statusLabel = (status) => STATUS_LABELS[status] ?? asText(status);

export const statusBadge = ({ status }) => badge(status, statusLabel(status));

/** The command's name as a link to it, its parameters, and a link to its batch. */
export function commandSummary(command) {
  const { command_id: id, command_name: name, batch_id: batchId } = command;
  return element(
    "span",
    { class: "command-words" },
    element("a", { href: commandAddress(id) }, name),
    parameters(command.command_params),
    batchId && element("a", { class: "of-batch", href: batchAddress(batchId) }, "batch"),
  );
}

export function parameters(params) {
  return Object.entries(params ?? {}).map(([name, value]) => {
    const label = element("span", { class: "muted", title: name }, PARAMETER_LABELS[name] ?? name);
    return element("span", { class: "parameter" }, label, " ", element("code", {}, asText(value)));
  });
}

/** "by …", unless it was the viewer. */
export function submitter({ submitted_by: name }) {
  return name && name !== viewer.username && element("span", { class: "parameter muted" }, `by ${name}`);
}

/** The time from start to end without the waiting, as text; empty while the command has not ended, or never started. */
export function runTime({ status, started_at: from, completed_at: to }) {
  return ENDED.has(status) && from && to ? duration(Date.parse(to) - Date.parse(from)) : "";
}

/** What the command found, or why it failed. */
export function resultWords({ error_code: code, error_message: message, result }) {
  const reason = code === "vehicle_refused" && message ? message : code && explain(code, message)[0];
  if (reason) return element("span", { class: "result-error vehicle-text", title: message }, reason);
  return element("span", { class: "vehicle-text" }, result ?? "");
}

/** The message for a submission that had arrived before. */
export const replayMessage = ({ submitted_at: at }) => [
  "This was submitted before, at ",
  time(at),
  ". It did not run twice.",
];
