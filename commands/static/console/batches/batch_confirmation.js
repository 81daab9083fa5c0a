// The one question before a batch is sent: which command, to how many vehicles, and what it changes.

import { KEPT_MINUTES } from "../api.js";
import { parameters } from "../command.js";
import { element, showFieldError, showMessage } from "../dom.js";
import { counted, whole } from "../format.js";

export class BatchConfirmation {
  #dialog;
  #send;
  #onSent;
  #onRefused;
  #question = null; // {request, type, count, disconnected}
  #isBusy = false;

  /**
   * send       sends the request
   * onSent     called with the batch
   * onRefused  called with an error that another attempt cannot mend; the dialog shows any other error itself
   */
  constructor({ dialog, send, onSent, onRefused }) {
    this.#dialog = dialog;
    this.#send = send;
    this.#onSent = onSent;
    this.#onRefused = onRefused;
    this.#part("close").addEventListener("click", () => dialog.close());
    this.#part("number").addEventListener("input", () => this.#showNumberError(""));
    dialog.addEventListener("cancel", (event) => this.#isBusy && event.preventDefault());
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#isBusy) this.#confirm();
    });
  }

  ask(question) {
    this.#question = question;
    const isUnsafe = question.type.safe_to_repeat === false;
    this.#draw(isUnsafe);
    this.#showNumberError("");
    this.#showError("");
    this.#setBusy(false);
    this.#dialog.showModal();
    this.#part(isUnsafe ? "number" : "send").focus();
  }

  #part(name) {
    return this.#dialog.querySelector(`[data-confirm=${name}]`);
  }

  #draw(isUnsafe) {
    const { type, count } = this.#question;
    this.#part("heading").textContent = `Send ${type.name} to ${counted(count, "vehicle")}?`;
    this.#part("facts").replaceChildren(...facts(this.#question));
    showMessage(this.#part("danger"), isUnsafe && `${change(this.#question)} This cannot be undone.`);
    this.#part("number-field").hidden = !isUnsafe;
    this.#part("number-label").textContent = `To confirm, type the number of vehicles: ${count}`;
    this.#part("number").value = "";
    this.#part("send").className = isUnsafe ? "danger" : "go";
  }

  async #confirm() {
    const { count, request } = this.#question;
    const isTyped = this.#part("number-field").hidden || this.#part("number").value.trim() === String(count);
    this.#showNumberError(isTyped ? "" : `This is not the number of vehicles. Type ${count}.`);
    if (!isTyped) return this.#part("number").focus();
    this.#setBusy(true);
    this.#showError("");
    try {
      const batch = await this.#send(request);
      this.#dialog.close();
      this.#onSent(batch);
    } catch (error) {
      this.#fail(error);
    }
    this.#setBusy(false);
  }

  #fail(error) {
    if (error.isPermanent) {
      this.#dialog.close();
      return this.#onRefused(error);
    }
    const advice = `It may have been accepted. Send it again within ${KEPT_MINUTES} minutes: it will not run twice.`;
    this.#showError(error.isUncertain ? `${error.detail} ${advice}` : error.detail);
  }

  #showNumberError(text) {
    showFieldError(this.#part("number"), this.#part("number-error"), text);
  }

  #showError(text) {
    showMessage(this.#part("error"), text);
  }

  // Not `disabled`, which would take the focus away.
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.#part("send").setAttribute("aria-disabled", String(isBusy));
    this.#part("send").textContent = isBusy ? "Sending…" : this.#sendLabel();
  }

  #sendLabel() {
    return this.#part("error").hidden ? `Send to ${counted(this.#question.count, "vehicle")}` : "Send again";
  }
}

function facts({ request, count, disconnected }) {
  const percent = request.stop_above_failed_percent;
  const away = disconnected > 0 && element("span", { class: "muted" }, waitingText(disconnected));
  return [
    request.name ? fact("Name", request.name) : "",
    fact("Command", element("strong", {}, request.command_name), " ", parameters(request.command_params)),
    fact("Vehicles", counted(count, "vehicle"), away),
    fact("Stops", percent === null ? "never automatically" : `when more than ${percent} % fail`),
  ];
}

const waitingText = (count) =>
  count === 1
    ? ". 1 is not connected now: its command waits until it is back, or expires."
    : `. ${whole(count)} are not connected now: their commands wait until they are back, or expire.`;

const fact = (name, ...content) => element("div", {}, element("dt", {}, name), element("dd", {}, content));

/** The data that is lost for good. */
function change({ type, request: { command_params: params }, count }) {
  const vehicles = counted(count, "vehicle");
  if (type.name !== "ClearDTC") return `It changes ${vehicles}: ${type.description ?? ""}`;
  const codes = params.dtcCode ? `trouble code ${params.dtcCode}` : "every stored trouble code";
  return `It erases ${codes} of ECU ${params.ecuAddress} in ${vehicles}, with all the data recorded with it.`;
}
