// Parts of the trouble codes of a vehicle. The commands behind them may be those of other users.

import { commandAddress } from "./command.js";
import { element } from "./dom.js";
import { viewer } from "./site.js";

/** The last clear of the unit after its last read, if any. */
export function clearedSince({ ecu_address: address, read_at: readAt }, timeline) {
  return timeline.find(({ change, ecu_address: ecu, at }) => change === "cleared" && ecu === address && at > readAt);
}

/** A link to the command, or plain text if the user may not see it. */
export const sourceLink = (text, id) => (id ? element("a", { href: commandAddress(id) }, text) : text);

/** The submitter of a command; the API names no user for a command that the viewer may not see. */
export const bySubmitter = (name) => ` by ${name ?? "another user"}`;

export const actionButton = (action, label, name, data) =>
  element("button", { type: "button", class: "quiet", "data-do": action, "aria-label": name, ...data }, label);

/** A button that asks the page to read the snapshot of a code, for those who may send it. */
export function snapshotButton({ ecu_address: address, dtc_code: code }) {
  const data = { "data-of": address, "data-about": code };
  const name = `Snapshot of ${code} of ECU ${address}`;
  return viewer.canSubmit && element("span", { class: "sends" }, actionButton("snapshot", "Snapshot", name, data));
}
