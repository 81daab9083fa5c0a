// The commands that failed lately, with the reason and advice.

import { commandSummary } from "../command.js";
import { asText, byId, cell, element, reconcile, showMessage } from "../dom.js";
import { time } from "../format.js";
import { vehicleLink } from "../known_vehicles.js";
import { explain } from "../labels.js";
import { viewer } from "../site.js";

/** The statuses of failed commands, as a query of the list of commands. */
export const FAILED_QUERY = "status=failed&status=timed_out&status=expired";

let rows = new Map(); // by command id

export function showFailures(failures, span) {
  showMessage(byId("failures-message"), failures.length ? "" : `No command failed in the last ${span}.`);
  rows = new Map(failures.map((command) => [command.command_id, rows.get(command.command_id) ?? row(command)]));
  reconcile(byId("failures"), [...rows.values()]);
}

function row(command) {
  const [fact, advice] = explain(command.error_code);
  return element(
    "tr",
    { "data-command": command.command_id },
    element("td", { class: "submitted nowrap" }, time(command.submitted_at)),
    element("td", { class: "name" }, commandSummary(command)),
    cell("", vehicleLink(command)),
    element(
      "td",
      { class: "happened", title: asText(command.error_message) },
      element("span", { class: "error" }, fact),
      element("span", { class: "muted" }, ` ${advice}`),
    ),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, command.submitted_by),
  );
}
