// One row of a batch's results: a vehicle, the status of its command, and the response.

import { commandAddress, runTime, statusBadge } from "../command.js";
import { element } from "../dom.js";
import { modelName, vehicleLink } from "../known_vehicles.js";
import { resultSummary } from "./result_summary.js";

/** Fill `node`, or create it. Unchanged parts stay untouched: they may have the focus, or a selection. */
export function resultRow(result, node = newRow(result)) {
  const version = [result.status, result.last_sequence_number, result.vehicle.connection_status].join();
  if (node.dataset.version === version) return node;
  node.dataset.version = version;
  const [, status, summary, time] = node.children;
  status.replaceChildren(statusBadge(result));
  summary.replaceChildren(element("div", { class: "result" }, resultSummary(result)));
  time.textContent = runTime(result);
  return node;
}

function newRow({ command_id: id, vehicle }) {
  const link = { href: commandAddress(id), "aria-label": `Details of ${vehicle.vin}` };
  return element(
    "tr",
    { "data-command": id },
    element(
      "td",
      { class: "result-vehicle" },
      vehicleLink(vehicle),
      " ",
      element("span", { class: "muted" }, modelName(vehicle)),
    ),
    element("td", { class: "result-status" }),
    element("td", { class: "result-answer" }),
    element("td", { class: "number nowrap muted", title: "Run time, without the waiting" }),
    element("td", { class: "number" }, element("a", link, "Details")),
  );
}
