// What is sent: the command type and its parameters, and when to stop.

import { createCommandFields } from "../command_fields.js";

const WHY_NOT = "only a fleet admin may send it to many";
const CAUTION = "It changes the vehicles. Where it breaks off while it runs, it is not repeated by itself.";

/** `canSendUnsafe`: what must not run twice may be chosen too. */
export function createCommandForm({ form, canSendUnsafe }) {
  const stopAbove = form.querySelector("[data-stop-above]");
  const stopError = document.getElementById("stop-above-error");
  const isOffered = (type) => type.safe_to_repeat !== false || canSendUnsafe;
  const command = createCommandFields({ form, caution: CAUTION, whyNot: (type) => (isOffered(type) ? "" : WHY_NOT) });

  function checkStopAbove() {
    complainOfStop(stopAbove.validity.valid ? "" : "A whole number from 0 to 100, or nothing.");
    return stopAbove.validity.valid;
  }

  function complainOfStop(text) {
    stopError.textContent = text;
    stopError.hidden = !text;
    if (text) stopAbove.setAttribute("aria-invalid", "true");
    else stopAbove.removeAttribute("aria-invalid");
  }

  /** {type, request}; null if something is wrong: it then says what, and the focus is there. */
  function read() {
    const wrong = command.wrong();
    if (!checkStopAbove()) wrong.push(stopAbove);
    wrong[0]?.focus();
    const type = command.chosenType();
    if (wrong.length || !type) return null;
    const percent = stopAbove.value === "" ? null : Number(stopAbove.value);
    const request = { command_name: type.name, command_params: command.values() };
    return { type, request: { ...request, stop_above_failed_percent: percent } };
  }

  /** Says beside its field what is wrong there; tells whether there is such a field. */
  function complain(name, text) {
    const field = command.named(name);
    if (name === "stop_above_failed_percent") complainOfStop(text);
    else field?.complain(text);
    return Boolean(field) || name === "stop_above_failed_percent";
  }

  stopAbove.addEventListener("input", () => complainOfStop(""));
  return { setTypes: command.setTypes, read, complain };
}
