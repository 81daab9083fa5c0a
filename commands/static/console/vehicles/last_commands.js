// The last commands of the vehicle that the user may see.

import { commandSummary, resultWords, runTime, statusBadge } from "../command.js";
import { byId, element, reconcile, showMessage, update } from "../dom.js";
import { time } from "../format.js";
import { viewer } from "../site.js";

const rows = new Map(); // by command id

export function showLastCommands(commands) {
  showMessage(byId("commands-message"), commands.length ? "" : "There are no commands yet that you may see.");
  reconcile(byId("last-commands"), commands.map(row));
}

function row(command) {
  const id = command.command_id;
  if (!rows.has(id)) rows.set(id, newRow(command));
  const [status, result, duration] = rows.get(id).querySelectorAll("[data-live]");
  update(status, statusBadge(command));
  update(result, resultWords(command));
  update(duration, runTime(command));
  return rows.get(id);
}

function newRow(command) {
  return element(
    "tr",
    { "data-command": command.command_id },
    element("td", { class: "submitted nowrap" }, time(command.submitted_at)),
    element("td", { class: "command" }, commandSummary(command)),
    element("td", { class: "status", "data-live": true }),
    element("td", { class: "result", "data-live": true }),
    element("td", { class: "number took", "data-label": "ran", "data-live": true }),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, command.submitted_by),
  );
}
