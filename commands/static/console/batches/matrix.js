// The rows of a fleet command's results: one for each vehicle.

import { badge, duration, element, plain } from "../dom.js";
import { modelName } from "../vehicle.js";
import { STATUS_WORDS } from "../words.js";
import { resultLine } from "./result.js";

/** Fills `node`, or makes a new one. What has not changed is left alone: it may hold the focus, or a selection. */
export function resultRow(result, node = newRow(result)) {
  const version = [result.status, result.last_sequence_number, result.vehicle.connection_status].join();
  if (node.dataset.version === version) return node;
  node.dataset.version = version;
  const [, status, answer, took] = node.children;
  status.replaceChildren(badge(result.status, STATUS_WORDS[result.status] ?? plain(result.status)));
  answer.replaceChildren(element("div", { class: "result" }, resultLine(result)));
  took.textContent = result.completed_at ? duration(millisecondsOf(result)) : "";
  return node;
}

const millisecondsOf = ({ submitted_at: from, completed_at: to }) => Date.parse(to) - Date.parse(from);

function newRow({ command_id: id, vehicle }) {
  const page = `/vehicles/${encodeURIComponent(vehicle.vehicle_id)}/`;
  const name = element("a", { class: "vin", href: page }, vehicle.vin);
  const link = { href: `/commands/${encodeURIComponent(id)}/`, "aria-label": `Details of ${vehicle.vin}` };
  return element(
    "tr",
    { "data-command": id },
    element("td", { class: "result-vehicle" }, name, " ", element("span", { class: "muted" }, modelName(vehicle))),
    element("td", { class: "result-status" }),
    element("td", { class: "result-answer" }),
    element("td", { class: "number nowrap muted", title: "From submission to end" }),
    element("td", { class: "number" }, element("a", link, "Details")),
  );
}
