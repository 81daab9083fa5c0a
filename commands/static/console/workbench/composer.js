// The form of a new command: checked, confirmed where that is needed, and submitted.

import { KEPT_MINUTES } from "../api.js";
import { replayMessage } from "../command.js";
import { CommandFields } from "../command_fields.js";
import { Suggestions } from "../command_form/suggestions.js";
import { showLines } from "../dom.js";
import { loadValue, saveValue, viewer } from "../site.js";
import { Timing } from "./timing.js";

const CAUTION =
  "It changes the vehicle, so you are asked to confirm it. If it breaks off, it is not repeated automatically.";

const WHY_NOT = "needs the permission to send intrusive commands";

export class Composer {
  #form;
  #button;
  #message;
  #chooser;
  #confirm;
  #submit;
  #onSubmitted;
  #fields;
  #suggestions;
  #timing;
  #filled = Promise.resolve();
  #isBusy = false;

  /**
   * confirm      asks about {vehicle, type, params} and resolves with the confirmation, or with null
   * submit       sends the request; the form shows `detail` and `fields` of its error
   * onSubmitted  called with the submitted command
   */
  constructor({ form, chooser, confirm, submit, onSubmitted }) {
    this.#form = form;
    this.#button = form.querySelector("[type=submit]");
    this.#message = form.querySelector("[data-errors]");
    this.#chooser = chooser;
    this.#confirm = confirm;
    this.#submit = submit;
    this.#onSubmitted = onSubmitted;
    this.#fields = new CommandFields({
      form,
      caution: CAUTION,
      whyNot: ({ permission }) => (permission && !viewer.canSendIntrusive ? WHY_NOT : ""),
      lastUsed: ({ name }) => loadValue(name) ?? {},
      onShow: () => this.showErrors([]),
    });
    this.#timing = new Timing(form.querySelector("[data-timing]"));
    this.#suggestions = new Suggestions(form, chooser);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#isBusy) this.#trySubmit();
    });
  }

  setTypes(types) {
    this.#fields.setTypes(types);
  }

  /** Submit nothing before this is done: it loads the commands, and what a link chooses. */
  waitFor(filling) {
    this.#filled = filling.then(() => this.#suggestions.showNames());
  }

  /** Take over another command, unless the user has begun one meanwhile. */
  fillFrom(command) {
    if (this.#fields.isBegun()) return;
    if (!this.#fields.fillFrom(command)) {
      this.showErrors([`The command ${command.command_name} no longer exists. Choose another.`]);
    } else if (document.activeElement === document.body) {
      this.#button.focus({ preventScroll: true });
    }
  }

  showErrors(lines) {
    showLines(this.#message, lines, { isError: true });
  }

  async #trySubmit() {
    this.#setBusy(true);
    await this.#filled;
    this.#setBusy(false);
    this.showErrors([]);
    const wrong = this.#fields.wrongFields();
    const [vehicle] = this.#chooser.chosen();
    this.#chooser.showError(vehicle ? "" : "Choose a vehicle.");
    if (!vehicle) return this.#chooser.focus();
    if (wrong.length) return wrong[0].focus();
    const mistimed = this.#timing.wrongField();
    if (mistimed) return mistimed.focus();
    const type = this.#fields.chosenType();
    if (!type) return this.showErrors(["The commands could not be loaded. Reload the page."]);
    const params = this.#fields.values();
    const request = { vehicle_id: vehicle.vehicle_id, command_name: type.name, command_params: params };
    Object.assign(request, this.#timing.values());
    if (type.safe_to_repeat) return this.#send(request);
    const confirmation = await this.#confirm({ vehicle, type, params }).catch((error) => this.#showFailure(error));
    if (confirmation) await this.#send({ ...request, confirmation });
  }

  async #send(request) {
    this.#setBusy(true);
    const command = await this.#submit(request).catch((error) => this.#showFailure(error));
    this.#setBusy(false);
    if (!command) return;
    saveValue(request.command_name, request.command_params);
    this.#form.dispatchEvent(new Event("sent"));
    if (command.is_replayed) showLines(this.#message, [replayMessage(command)], { isError: false });
    this.#onSubmitted(command);
  }

  #showFailure(error) {
    const others = [];
    let first = null;
    for (const [name, messages] of Object.entries(error.fields ?? {})) {
      const text = [messages].flat().join(" ");
      const field = this.#fieldOfError(name);
      field?.showError(text);
      if (!field) others.push(`${name}: ${text}`);
      first ??= field;
    }
    if (others.length || !first) this.showErrors(others.length ? others : [detailOf(error)]);
    first?.focus();
  }

  #fieldOfError(name) {
    if (name === "vehicle_id") return this.#chooser;
    return this.#timing.fieldOfError(name) ?? this.#fields.fieldOfError(name);
  }

  // Not `disabled`, which would take the focus away.
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.#button.setAttribute("aria-disabled", String(isBusy));
    this.#button.textContent = isBusy ? "Submitting…" : "Submit command";
  }
}

function detailOf({ detail, isUncertain }) {
  return isUncertain ? `${detail} Submit again within ${KEPT_MINUTES} minutes: it will not run twice.` : detail;
}
