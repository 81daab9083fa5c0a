// The one question before a fleet command is sent: what, to how many, and what it changes.

import { element, parameters } from "../dom.js";
import { KEPT_MINUTES } from "../submission.js";
import { vehicles } from "./counts.js";

/**
 * send(request) does the sending. A failure that asking again may mend is shown here, and the same can be sent again;
 * any other closes the dialog and goes to onRefused(error).
 */
export function createConfirmation({ dialog, send, onSent, onRefused }) {
  const part = (name) => dialog.querySelector(`[data-confirm=${name}]`);
  let asked = null; // {request, type, count, disconnected}
  let busy = false;

  function ask(question) {
    asked = question;
    const { type, count } = asked;
    const isDangerous = type.safe_to_repeat === false;
    part("heading").textContent = `Send ${type.name} to ${vehicles(count)}?`;
    part("facts").replaceChildren(...facts(asked));
    part("danger").textContent = isDangerous ? `${change(asked)} This cannot be undone.` : "";
    part("danger").hidden = part("number-field").hidden = !isDangerous;
    part("number-label").textContent = `To confirm, type the number of vehicles: ${count}`;
    part("number").value = "";
    part("send").className = isDangerous ? "danger" : "go";
    complain("");
    tell("");
    setBusy(false);
    dialog.showModal();
    part(isDangerous ? "number" : "send").focus();
  }

  async function confirm() {
    const isTyped = part("number-field").hidden || part("number").value.trim() === String(asked.count);
    complain(isTyped ? "" : `This is not the number of vehicles: it is ${asked.count}.`);
    if (!isTyped) return part("number").focus();
    setBusy(true);
    tell("");
    try {
      const batch = await send(asked.request);
      dialog.close();
      onSent(batch);
    } catch (error) {
      fail(error);
    }
    setBusy(false);
  }

  function fail(error) {
    if (error.permanent) {
      dialog.close();
      return onRefused(error);
    }
    const again = `Send it again within ${KEPT_MINUTES} minutes: it will not run twice.`;
    tell(error.uncertain ? `${error.detail} It may have been accepted all the same. ${again}` : error.detail);
  }

  function complain(text) {
    part("number-error").textContent = text;
    part("number-error").hidden = !text;
    if (text) part("number").setAttribute("aria-invalid", "true");
    else part("number").removeAttribute("aria-invalid");
  }

  function tell(text) {
    part("error").textContent = text;
    part("error").hidden = !text;
  }

  // Not `disabled`: that would take the focus away.
  function setBusy(value) {
    busy = value;
    part("send").setAttribute("aria-disabled", String(value));
    part("send").textContent = value ? "Sending…" : offer();
  }

  const offer = () => (part("error").hidden ? `Send to ${vehicles(asked.count)}` : "Send again");

  part("close").addEventListener("click", () => dialog.close());
  part("number").addEventListener("input", () => complain(""));
  dialog.addEventListener("cancel", (event) => busy && event.preventDefault());
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) confirm();
  });
  return { ask };
}

function facts({ request, count, disconnected }) {
  const percent = request.stop_above_failed_percent;
  const params = parameters(request.command_params);
  return [
    fact("Command", element("strong", {}, request.command_name), " ", ...params),
    fact("Vehicles", vehicles(count), disconnected > 0 && element("span", { class: "muted" }, waiting(disconnected))),
    fact("Stops", percent === null ? "never by itself" : `when more than ${percent} % fail`),
  ];
}

const waiting = (count) =>
  count === 1
    ? ". 1 is not connected now: its command waits until it is back, or expires."
    : `. ${count.toLocaleString("en")} are not connected now: their commands wait until they are back, or expire.`;

const fact = (name, ...content) => element("div", {}, element("dt", {}, name), element("dd", {}, ...content));

/** What is lost for good. */
function change({ type, request: { command_params: params }, count }) {
  if (type.name !== "ClearDTC") return `It changes ${vehicles(count)}: ${type.description ?? ""}`;
  const what = params.dtcCode ? `trouble code ${params.dtcCode}` : "every stored trouble code";
  return `It erases ${what} of ECU ${params.ecuAddress} in ${vehicles(count)}, with all that was recorded with it.`;
}
