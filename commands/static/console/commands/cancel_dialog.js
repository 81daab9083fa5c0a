// The button and the dialog that cancel the selected commands together.

import { cancelCommands } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { counted } from "../format.js";

export class CancelDialog {
  #dialog = byId("cancel-dialog");
  #open = byId("cancel-chosen");
  #confirm = byId("cancel-do");
  #selected;
  #onCancelled;
  #commands = []; // the commands that the dialog is about
  #outcome = ""; // of the last cancelling, until others are selected

  /**
   * selected     returns the selected commands
   * onCancelled  called after they were cancelled
   */
  constructor({ selected, onCancelled }) {
    this.#selected = selected;
    this.#onCancelled = onCancelled;
    this.#open.addEventListener("click", () => this.#ask());
    this.#confirm.addEventListener("click", () => this.#confirm.ariaDisabled !== "true" && this.#cancel());
    byId("cancel-not").addEventListener("click", () => this.#dialog.close());
  }

  /** Show how many commands are selected, and enable the button for them. */
  update() {
    const count = this.#selected().length;
    if (!count && document.activeElement === this.#open) byId("choose-all").focus(); // a disabled button loses the focus
    this.#open.disabled = !count;
    this.#open.textContent = count ? `Cancel chosen (${count})` : "Cancel chosen";
    if (count) this.#outcome = "";
    byId("chosen").textContent = count ? `${count} chosen` : this.#outcome;
  }

  #ask() {
    this.#commands = this.#selected();
    const action = `Cancel ${counted(this.#commands.length, "command")}`;
    byId("cancel-heading").textContent = `${action}?`;
    byId("cancel-words").textContent = consequences(this.#commands);
    this.#confirm.textContent = action;
    this.#showError("");
    this.#dialog.showModal();
  }

  async #cancel() {
    this.#confirm.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the focus away
    try {
      this.#outcome = outcomeText(await cancelCommands(this.#commands.map(({ command_id: id }) => id)));
      this.#dialog.close();
      this.#onCancelled();
    } catch (error) {
      this.#showError(error.detail ?? "The commands could not be cancelled. Try again.");
    }
    this.#confirm.removeAttribute("aria-disabled");
  }

  #showError(text) {
    showMessage(byId("cancel-error"), text);
  }
}

function consequences(commands) {
  const running = commands.filter(({ status }) => status === "in_progress").length;
  const waiting = commands.length - running;
  const sentences = [
    waiting &&
      `${counted(waiting, "command")} still ${waiting === 1 ? "waits" : "wait"}: nothing is sent to the vehicle.`,
    running &&
      `${counted(running, "command")} ${running === 1 ? "is" : "are"} running: the vehicle may have carried out a part.`,
  ];
  return sentences.filter(Boolean).join(" ");
}

function outcomeText({ cancelled, asked_to_stop: stopping, already_ended: ended }) {
  const parts = [
    cancelled && `${counted(cancelled, "command")} cancelled`,
    stopping && `${counted(stopping, "command")} asked to stop`,
    ended && `${counted(ended, "command")} had ended already`,
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}
