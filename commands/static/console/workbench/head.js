// The head of the watched command: what it is, for which vehicle, how it stands, and what can be done with it.

import { serverNow } from "../api.js";
import { badge, duration, element, parameters, plain, submitter } from "../dom.js";
import { viewer } from "../site.js";
import { connectionBadge, modelName } from "../vehicle.js";
import { ENDED, STATUS_WORDS, connectionWords } from "../words.js";

const PAGE_TITLE = document.title;
const SITE_TITLE = PAGE_TITLE.split(" · ").at(-1);

/** `shown` below is the state of `live.js`. onCancel() is asked for by the button. */
export function createHead({ root, onCancel }) {
  const part = (name) => root.querySelector(`[data-live=${name}]`);

  function drawEmpty() {
    root.dataset.state = "empty";
    part("name").textContent = "Live answers";
    for (const name of ["parameters", "status", "connection", "elapsed", "count"]) part(name).replaceChildren();
    drawVehicle(null);
    for (const name of ["cancel", "repeat", "copy", "progress"]) part(name).hidden = true;
    document.title = PAGE_TITLE;
  }

  /** What never changes for one command. */
  function drawCommand({ command, id }) {
    root.dataset.state = "open";
    drawVehicle(null);
    part("name").textContent = command?.command_name ?? "Command";
    part("parameters").replaceChildren(
      ...parameters(command?.command_params),
      submitter(command ?? {}, viewer.username) || "",
      batchLink(command?.batch_id) || "",
    );
    part("repeat").href = `/commands/new/?repeat=${encodeURIComponent(id)}`;
  }

  function drawVehicle(vehicle) {
    const link = part("vehicle");
    link.hidden = !vehicle;
    link.textContent = vehicle?.vin ?? "";
    link.href = vehicle ? `/vehicles/${encodeURIComponent(vehicle.vehicle_id)}/` : "";
    part("model").textContent = vehicle ? modelName(vehicle) : "";
    part("presence").replaceChildren(...(vehicle ? [connectionBadge(vehicle)] : []));
  }

  function drawState({ command, status, cancelling }) {
    const words = STATUS_WORDS[status] ?? plain(status);
    part("status").replaceChildren(...(status ? [badge(status, words)] : []));
    part("progress").hidden = status !== "in_progress";
    document.title = command ? `${command.command_name} · ${words} · ${SITE_TITLE}` : PAGE_TITLE;
    drawActions(ENDED.has(status), Boolean(status), cancelling);
  }

  function drawActions(hasEnded, isKnown, cancelling) {
    const cancel = part("cancel");
    const hadFocus = document.activeElement === cancel;
    part("repeat").hidden = !hasEnded || !viewer.canSubmit;
    part("copy").hidden = !hasEnded;
    cancel.hidden = hasEnded || !isKnown || !viewer.canSubmit;
    cancel.setAttribute("aria-disabled", String(Boolean(cancelling)));
    cancel.textContent = cancelling ? "Cancelling…" : "Cancel";
    if (hadFocus && cancel.hidden) part("repeat").focus();
  }

  function drawConnection({ connection }) {
    const [kind, words] = connectionWords(connection);
    const place = part("connection");
    if (place.textContent !== words) place.replaceChildren(...(words ? [badge(kind, words)] : []));
  }

  function drawElapsed({ startedAt, endedAt, status, command, connection }) {
    if (connection.name === "ended" && connection.error) return; // Nobody knows whether it still runs.
    const end = Date.parse(endedAt ?? command?.completed_at) || (ENDED.has(status) ? NaN : serverNow());
    const elapsed = end - Date.parse(startedAt);
    part("elapsed").textContent = Number.isFinite(elapsed) ? duration(elapsed) : "";
  }

  function drawCount(count) {
    part("count").textContent = count ? `${count} answer${count === 1 ? "" : "s"}` : "";
  }

  function tell(content, isError = false) {
    const notice = part("notice");
    notice.replaceChildren(...[content].flat().filter(Boolean));
    notice.hidden = !notice.textContent;
    notice.classList.toggle("error", isError);
  }

  async function copyLink() {
    const copied = await copy(location.href);
    part("copy").textContent = copied ? "Link copied" : "Copy it from the address bar";
    setTimeout(() => (part("copy").textContent = "Copy link"), 2000);
  }

  part("cancel").addEventListener("click", onCancel);
  part("copy").addEventListener("click", copyLink);
  return { drawEmpty, drawCommand, drawVehicle, drawState, drawConnection, drawElapsed, drawCount, tell };
}

const batchLink = (id) =>
  id && element("a", { class: "parameter", href: `/batches/${encodeURIComponent(id)}/` }, "part of a fleet command");

/** Without HTTPS a browser has no clipboard for pages. */
const copy = (text) =>
  Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject()).then(
    () => true,
    () => false,
  );
