// The command of a new batch: its type, its parameters, and when the batch stops.

import { CommandFields } from "../command_fields.js";
import { byId, showFieldError } from "../dom.js";

const WHY_NOT = "only a fleet admin may send it to many vehicles";
const CAUTION = "It changes the vehicles. If it breaks off while it runs, it is not repeated automatically.";

export class CommandForm {
  #form;
  #stopAbove;
  #fields;

  /** canSend: whether the user may send a type to many vehicles. */
  constructor({ form, canSend }) {
    this.#form = form;
    this.#stopAbove = form.querySelector("[data-stop-above]");
    this.#stopAbove.addEventListener("input", () => this.#showStopError(""));
    this.#fields = new CommandFields({ form, caution: CAUTION, whyNot: (type) => (canSend(type) ? "" : WHY_NOT) });
  }

  setTypes(types) {
    this.#fields.setTypes(types);
  }

  /** {type, request}; null if something is wrong, and then shown and focused. */
  read() {
    const wrong = this.#fields.wrongFields();
    if (!this.#checkStopAbove()) wrong.push(this.#stopAbove);
    wrong[0]?.focus();
    const type = this.#fields.chosenType();
    if (wrong.length || !type) return null;
    const percent = this.#stopAbove.value === "" ? null : Number(this.#stopAbove.value);
    const command = { command_name: type.name, command_params: this.#fields.values() };
    return { type, request: { ...this.#about(), ...command, stop_above_failed_percent: percent } };
  }

  /** Show an error of the API beside its field. Return whether there is such a field. */
  showError(name, text) {
    const field = this.#fields.fieldOfError(name);
    const isStop = name === "stop_above_failed_percent";
    if (isStop) this.#showStopError(text);
    field?.showError(text);
    return isStop || Boolean(field);
  }

  #about() {
    const { name, reason } = this.#form.elements;
    return { name: name.value.trim(), reason: reason.value.trim() };
  }

  #checkStopAbove() {
    const isValid = this.#stopAbove.validity.valid;
    this.#showStopError(isValid ? "" : "A whole number from 0 to 100, or nothing.");
    return isValid;
  }

  #showStopError(text) {
    showFieldError(this.#stopAbove, byId("stop-above-error"), text);
  }
}
