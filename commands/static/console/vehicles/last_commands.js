// The last commands of the vehicle, as far as one may see them.

import { commandWords, statusBadge, took } from "../command.js";
import { arrange, element, renew, time } from "../dom.js";
import { viewer } from "../site.js";

const rows = new Map(); // by command id

export function showLastCommands(commands) {
  const message = document.getElementById("commands-message");
  message.textContent = "No commands yet, as far as you may see.";
  message.hidden = commands.length > 0;
  arrange(document.getElementById("last-commands"), commands.map(row));
}

function row(command) {
  const id = command.command_id;
  if (!rows.has(id)) rows.set(id, newRow(command));
  const [status, duration] = rows.get(id).querySelectorAll("[data-live]");
  renew(status, statusBadge(command));
  renew(duration, took(command));
  return rows.get(id);
}

function newRow(command) {
  return element(
    "tr",
    { "data-command": command.command_id },
    element("td", { class: "submitted nowrap" }, time(command.submitted_at)),
    element("td", { class: "command" }, commandWords(command)),
    element("td", { class: "status", "data-live": true }),
    element("td", { class: "number took", "data-label": "took", "data-live": true }),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, command.submitted_by),
  );
}
