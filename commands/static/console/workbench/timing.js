// When a new command may be sent: from when, until when, and before or after others. Empty fields are left to the server.

import { showFieldError } from "../dom.js";
import { instantOf } from "../filters.js";

const HOUR_SECONDS = 3600;
// The fields of the API, and their inputs.
const INPUTS = { not_before: "timing-start", expires_in_seconds: "timing-hours", priority: "timing-priority" };

export class Timing {
  #root;

  /** root: a folded element with an input and an error for each field. */
  constructor(root) {
    this.#root = root;
    root.addEventListener("input", ({ target }) => showFieldError(target, errorOf(target), ""));
  }

  /** What was given, as the API takes it. */
  values() {
    const [start, hours, priority] = Object.values(INPUTS).map((id) => this.#input(id).value);
    return {
      ...(start && { not_before: instantOf(start) }),
      ...(hours && { expires_in_seconds: Math.round(Number(hours) * HOUR_SECONDS) }),
      ...(priority && { priority }),
    };
  }

  /** The first field that is wrong, which then shows why; else undefined. */
  wrongField() {
    const input = Object.values(INPUTS)
      .map((id) => this.#input(id))
      .find(({ validity }) => !validity.valid);
    return input && this.#fieldOf(input, input.validationMessage);
  }

  fieldOfError(name) {
    return INPUTS[name] && this.#fieldOf(this.#input(INPUTS[name]));
  }

  #input = (id) => this.#root.querySelector(`#${id}`);

  #fieldOf(input, problem = "") {
    const showError = (text) => {
      this.#root.open = true; // the error would be folded away
      showFieldError(input, errorOf(input), text);
    };
    if (problem) showError(problem);
    return { showError, focus: () => input.focus() };
  }
}

const errorOf = (input) => input.parentNode.querySelector("[data-error]");
