// How a command is shown where many are listed.

import { badge, duration, element, parameters, plain } from "./dom.js";
import { ENDED, STATUS_WORDS } from "./words.js";

function commandLink({ command_id: id, command_name: name }) {
  return element("a", { href: `/commands/${encodeURIComponent(id)}/` }, name);
}

/** Its name, which leads to it, its parameters, and the batch that it is of. */
export function commandWords(command) {
  return element(
    "span",
    { class: "command-words" },
    commandLink(command),
    parameters(command.command_params),
    command.batch_id && element("a", { class: "of-batch", href: `/batches/${command.batch_id}/` }, "fleet"),
  );
}

export const statusBadge = ({ status }) => badge(status, STATUS_WORDS[status] ?? plain(status));

/** From submission to end. */
export function took({ status, submitted_at: from, completed_at: to }) {
  return ENDED.has(status) && to ? duration(Date.parse(to) - Date.parse(from)) : "";
}
