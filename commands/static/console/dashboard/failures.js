// What went wrong lately, in words.

import { commandWords } from "../command.js";
import { arrange, cell, element, plain, time } from "../dom.js";
import { viewer } from "../site.js";
import { vehicleLink } from "../vehicle.js";
import { explain } from "../words.js";

/** The statuses of a failure, as the list of commands is asked for them. */
export const FAILED = "status=failed&status=timed_out&status=expired";

let rows = new Map(); // by command id

export function showFailures(failures) {
  const message = document.getElementById("failures-message");
  message.textContent = "No command failed in the last hour.";
  message.hidden = failures.length > 0;
  rows = new Map(failures.map((command) => [command.command_id, rows.get(command.command_id) ?? row(command)]));
  arrange(document.getElementById("failures"), [...rows.values()]);
}

function row(command) {
  const [what, toDo] = explain(command.error_code);
  return element(
    "tr",
    { "data-command": command.command_id },
    element("td", { class: "submitted nowrap" }, time(command.submitted_at)),
    element("td", { class: "name" }, commandWords(command)),
    cell("", vehicleLink(command)),
    element(
      "td",
      { class: "happened", title: plain(command.error_message) },
      element("span", { class: "error" }, what),
      element("span", { class: "muted" }, ` ${toDo}`),
    ),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, command.submitted_by),
  );
}
