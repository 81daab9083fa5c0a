// The button and the dialog that cancel the rest of a batch.

import { cancelBatch } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { whole } from "../format.js";
import { viewer } from "../site.js";
import { countOf } from "./counts.js";

export class CancelRest {
  #id;
  #onCancelled;
  #batch = null;
  #dialog = byId("cancel-dialog");
  #open = byId("cancel-rest");
  #confirm = byId("cancel-go");

  /** onCancelled is called with the batch. */
  constructor({ id, onCancelled }) {
    this.#id = id;
    this.#onCancelled = onCancelled;
    this.#open.addEventListener("click", () => this.#ask());
    byId("cancel-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#confirm.ariaDisabled !== "true") this.#cancel();
    });
  }

  /** Offer to cancel while something is left. Otherwise the focus moves on, if it was on the button. */
  show(batch, { focusInstead }) {
    this.#batch = batch;
    const isOver = !viewer.canSubmit || batch.has_ended || Boolean(batch.stop_reason);
    if (isOver && document.activeElement === this.#open) focusInstead.focus({ preventScroll: true });
    if (isOver && !this.#open.hidden)
      this.#open.classList.add("vacant"); // its place stays, so that nothing moves
    else this.#open.hidden = isOver;
    if (isOver && this.#dialog.open) this.#dialog.close();
  }

  #ask() {
    byId("cancel-consequences").textContent = consequences(this.#batch);
    this.#showError("");
    this.#dialog.showModal();
  }

  async #cancel() {
    this.#confirm.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the focus away
    try {
      const batch = await cancelBatch(this.#id);
      this.#dialog.close();
      this.#onCancelled(batch);
    } catch (error) {
      if (error.status === 409)
        this.#dialog.close(); // it has ended meanwhile; the next refresh tells how
      else this.#showError(error.detail);
    }
    this.#confirm.removeAttribute("aria-disabled");
  }

  #showError(text) {
    showMessage(byId("cancel-error"), text);
  }
}

function consequences(batch) {
  const [waiting, running] = [countOf(batch, "pending"), countOf(batch, "in_progress")];
  const sentences = [
    `Withdrawn before they reach their vehicle: ${whole(waiting)}.`,
    running > 0 && `Running and asked to stop: ${whole(running)}; some may still be carried out.`,
    "Commands that have ended stay as they are.",
  ];
  return sentences.filter(Boolean).join(" ");
}
