// The header of the watched command: its name, vehicle and status, and the actions on it.

import { reportAddress, serverNow, transcriptAddress } from "../api.js";
import { batchAddress, parameters, statusBadge, statusLabel } from "../command.js";
import { badge, element, showMessage, update } from "../dom.js";
import { askOnClick, offerNotice, tellEnd } from "../end_notice.js";
import { counted, duration, time } from "../format.js";
import { connectionBadge, lastWeekAddress, modelName, vehicleAddress } from "../known_vehicles.js";
import { ENDED, explain } from "../labels.js";
import { openPalette } from "../palette_key.js";
import { viewer } from "../site.js";
import { noteVisit } from "../visits.js";

const PAGE_TITLE = document.title;
const SITE_TITLE = PAGE_TITLE.split(" · ").at(-1);
const COPIED_MS = 2000;
const HIDDEN = ["cancel", "repeat", "another", "copy", "progress", "report", "last-week", "transcript", "notify"]; // without one

export class CommandHeader {
  #root;
  #command = null;

  /** onCancel is called for a click on "Cancel". */
  constructor({ root, onCancel }) {
    this.#root = root;
    this.#part("cancel").addEventListener("click", onCancel);
    this.#part("copy").addEventListener("click", () => this.#copyLink());
    askOnClick(this.#part("notify"));
    this.#part("another").addEventListener("click", () => openPalette(sendingAgain(this.#command)));
  }

  drawEmpty() {
    this.#root.dataset.state = "empty";
    this.#part("name").textContent = "Responses";
    for (const name of ["parameters", "about", "status", "connection", "elapsed", "count"]) update(this.#part(name));
    this.drawVehicle(null);
    for (const name of HIDDEN) this.#part(name).hidden = true;
    document.title = PAGE_TITLE;
  }

  /** Draw the parts that never change for one command. */
  drawCommand(id, command) {
    this.#root.dataset.state = "open";
    this.drawVehicle(null);
    this.#part("name").textContent = command?.command_name ?? "Command";
    update(this.#part("parameters"), command && [parameters(command.command_params), batchLink(command.batch_id)]);
    update(this.#part("about"), command && origin(command));
    this.#part("transcript").href = transcriptAddress(id);
    this.#part("repeat").href = `/commands/new/?repeat=${encodeURIComponent(id)}`;
  }

  drawVehicle(vehicle) {
    const link = this.#part("vehicle");
    link.hidden = !vehicle;
    link.textContent = vehicle?.vin ?? "";
    link.href = vehicle ? vehicleAddress(vehicle.vehicle_id) : "";
    this.#part("model").textContent = vehicle ? modelName(vehicle) : "";
    update(this.#part("presence"), vehicle && connectionBadge(vehicle));
    this.#part("transcript").hidden = !vehicle || vehicle.connector === "mock"; // a mock leaves no evidence
    if (vehicle) noteVisit(vehicle);
  }

  drawStatus(command, isCancelling) {
    this.#command = command;
    const status = command?.status;
    update(this.#part("status"), command && statusBadge(command));
    this.#part("progress").hidden = status !== "in_progress";
    document.title = command ? `${command.command_name} · ${statusLabel(status)} · ${SITE_TITLE}` : PAGE_TITLE;
    this.#drawReport(command);
    this.#drawActions(Boolean(command), ENDED.has(status), isCancelling);
  }

  #drawReport(command) {
    const link = this.#part("report");
    link.hidden = command?.command_name !== "ScanVehicle" || command.status !== "completed";
    this.#part("last-week").hidden = link.hidden;
    if (link.hidden) return;
    link.href = reportAddress(command.vehicle_id, command.command_id);
    this.#part("last-week").href = lastWeekAddress(command.vehicle_id);
  }

  #drawActions(isKnown, hasEnded, isCancelling) {
    const cancel = this.#part("cancel");
    const hadFocus = document.activeElement === cancel;
    for (const name of ["repeat", "another"]) this.#part(name).hidden = !hasEnded || !viewer.canSubmit;
    this.#part("copy").hidden = !isKnown;
    cancel.hidden = hasEnded || !isKnown || !viewer.canSubmit;
    cancel.setAttribute("aria-disabled", String(isCancelling));
    cancel.textContent = isCancelling ? "Cancelling…" : "Cancel";
    if (hadFocus && cancel.hidden) this.#part("repeat").focus({ preventScroll: true });
  }

  /** Tell those who look at another page that it has ended. */
  tellEnd({ command_id: id, command_name: name, status, vin }) {
    tellEnd(`${name}: ${statusLabel(status).toLowerCase()}`, vin, id);
  }

  drawConnection(connection) {
    const [kind, label] = connectionLabel(connection);
    const place = this.#part("connection");
    if (place.textContent !== label) update(place, label && badge(kind, label));
  }

  /** Draw the run time, or before the start the time of waiting. */
  drawElapsed({ status, submitted_at: submitted, started_at: started, completed_at: completed }) {
    const isWaiting = status === "pending";
    const end = Date.parse(completed) || (ENDED.has(status) ? NaN : serverNow());
    const elapsed = end - Date.parse(isWaiting ? submitted : started);
    const text = Number.isFinite(elapsed) ? duration(elapsed) : "";
    this.#part("elapsed").textContent = isWaiting ? `waiting ${text}` : text;
    offerNotice(this.#part("notify"), ENDED.has(status) ? null : elapsed);
  }

  drawCount(count) {
    this.#part("count").textContent = count ? counted(count, "response") : "";
  }

  showNotice(content, isError = false) {
    showMessage(this.#part("notice"), content, { isError });
  }

  async #copyLink() {
    const isCopied = await copy(location.href);
    const button = this.#part("copy");
    button.textContent = isCopied ? "Link copied" : "Copy it from the address bar";
    setTimeout(() => update(button, "Copy link"), COPIED_MS);
  }

  #part(name) {
    return this.#root.querySelector(`[data-live=${name}]`);
  }
}

function origin({ command_id: id, submitted_at: at, submitted_by: name }) {
  return ["Submitted ", time(at, "full"), ` by ${name} · ID `, element("code", {}, id)];
}

const batchLink = (id) => id && element("a", { class: "parameter", href: batchAddress(id) }, "part of a batch");

/** Return whether the text was copied. Without HTTPS a page has no clipboard. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** What the palette does with the vehicle that is chosen for the same command. */
const sendingAgain = ({ command_id: id, command_name: name }) => ({
  label: `Vehicle for ${name}`,
  addressFor: (vehicleId) => `/commands/new/?${new URLSearchParams({ repeat: id, vehicle: vehicleId })}`,
});

// --- The state of the connection to the stream

/** [kind of badge, label]. Both are empty once the stream has ended well: then the command's status says enough. */
function connectionLabel({ name, until, error }) {
  const seconds = Math.ceil((until - Date.now()) / 1000);
  switch (name) {
    case "live":
      return ["live", "Live"];
    case "connecting":
      return ["connecting", "Connecting…"];
    case "behind":
      return ["connecting", "Catching up…"];
    case "ended":
      return error ? ["stopped", "Stopped"] : ["", ""];
    default:
      return ["reconnecting", seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…"];
  }
}

/** The reason why a stream is interrupted or has stopped. */
export function interruptionText({ name, error }) {
  if (error?.error_code) return explain(error.error_code).join(" ");
  return name === "ended"
    ? (error.detail ?? "")
    : "The connection is lost. It is restored automatically, and no event is missed.";
}
