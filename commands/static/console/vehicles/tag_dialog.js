// The button and the dialog that give tags to the chosen vehicles, or take tags from them.

import { changeTags } from "../api.js";
import { byId, showFieldError, showMessage } from "../dom.js";
import { counted } from "../format.js";
import { problemOf, tagsIn } from "./tags.js";

export class TagDialog {
  #dialog = byId("tag-dialog");
  #open = byId("tag-chosen"); // only for users who may change vehicles
  #input = byId("tag-words");
  #ids = [];
  #onChanged;

  /** onChanged is called after a change. */
  constructor(onChanged) {
    this.#onChanged = onChanged;
    this.#open?.addEventListener("click", () => this.#ask());
    byId("tag-not")?.addEventListener("click", () => this.#dialog.close());
    byId("tag-form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change(event.submitter?.value ?? "add");
    });
  }

  /** Show for how many vehicles the button is. */
  update(ids) {
    this.#ids = ids;
    if (!this.#open) return;
    this.#open.disabled = !ids.length;
    this.#open.textContent = ids.length ? `Tag the chosen (${ids.length})` : "Tag the chosen";
  }

  #ask() {
    const vehicles = counted(this.#ids.length, "vehicle");
    byId("tag-heading").textContent = `Tags of ${vehicles}`;
    byId("tag-add").textContent = `Add to ${vehicles}`;
    byId("tag-remove").textContent = `Remove from ${vehicles}`;
    this.#input.value = "";
    this.#say("");
    showMessage(byId("tag-outcome"), "");
    this.#dialog.showModal();
  }

  async #change(what) {
    const tags = tagsIn(this.#input.value);
    if (!tags.length) return this.#say("Name at least one tag.");
    try {
      const { changed_count: count } = await changeTags({ vehicle_ids: this.#ids, [what]: tags });
      this.#dialog.close();
      showMessage(byId("tag-outcome"), `The tags of ${counted(count, "vehicle")} were changed.`);
      this.#onChanged();
    } catch (error) {
      this.#say(problemOf(error));
    }
  }

  #say(text) {
    showFieldError(this.#input, byId("tag-problem"), text);
    if (text) this.#input.focus();
  }
}
