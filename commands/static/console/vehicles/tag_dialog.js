// The dialog that gives tags to many vehicles, or takes tags from them: to the chosen ones, or to all that match.

import { changeTags, listTags, previewTags } from "../api.js";
import { button, byId, element, showFieldError, showMessage, update } from "../dom.js";
import { counted, whole } from "../format.js";
import { problemOf, tagsIn } from "./tags.js";

const MAX_OFFERED = 30;

export class TagDialog {
  #dialog = byId("tag-dialog");
  #open = byId("tag-chosen"); // only for users who may change vehicles
  #input = byId("tag-words");
  #ids = [];
  #choice = {}; // the vehicles that the dialog is about
  #filter;
  #onChanged;

  /**
   * filter     returns the present filters of the list
   * onChanged  called after a change
   */
  constructor({ filter, onChanged }) {
    this.#filter = filter;
    this.#onChanged = onChanged;
    this.#open?.addEventListener("click", () => this.#ask({ vehicle_ids: this.#ids }, this.#ids.length));
    byId("tag-all")?.addEventListener("click", () => this.#askForAll());
    byId("tag-not")?.addEventListener("click", () => this.#dialog.close());
    byId("tag-form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change(event.submitter?.value ?? "add");
    });
    this.#loadTags();
  }

  /** Show for how many vehicles the button is. */
  update(ids) {
    this.#ids = ids;
    if (!this.#open) return;
    this.#open.disabled = !ids.length;
    this.#open.textContent = ids.length ? `Tag the chosen (${ids.length})` : "Tag the chosen";
  }

  async #askForAll() {
    const choice = { vehicle_filter: Object.fromEntries(this.#filter()) };
    try {
      const { vehicle_count: count, vehicle_set } = await previewTags(choice);
      this.#ask({ ...choice, vehicle_set }, count);
    } catch (error) {
      showMessage(byId("tag-outcome"), problemOf(error), { isError: true });
    }
  }

  #ask(choice, count) {
    const vehicles = counted(count, "vehicle");
    this.#choice = choice;
    byId("tag-heading").textContent = `Tags of ${vehicles}`;
    byId("tag-add").textContent = `Add to ${vehicles}`;
    byId("tag-remove").textContent = `Remove from ${vehicles}`;
    this.#input.value = "";
    this.#say("");
    showMessage(byId("tag-outcome"), "", { isError: false });
    this.#dialog.showModal();
  }

  async #change(what) {
    const tags = tagsIn(this.#input.value);
    if (!tags.length) return this.#say("Name at least one tag.");
    try {
      const { changed_count: count } = await changeTags({ ...this.#choice, [what]: tags });
      this.#dialog.close();
      showMessage(byId("tag-outcome"), `The tags of ${counted(count, "vehicle")} were changed.`, { isError: false });
      this.#onChanged();
      this.#loadTags();
    } catch (error) {
      if (error.fields?.vehicle_set) this.#giveUp(error);
      else this.#say(problemOf(error));
    }
  }

  /** Other vehicles match by now: the user looks at the list again. */
  #giveUp(error) {
    this.#dialog.close();
    showMessage(byId("tag-outcome"), problemOf(error), { isError: true });
    this.#onChanged();
  }

  /** The tags in use: suggestions of the filter, and buttons of the dialog. Without them everything else works. */
  async #loadTags() {
    const { results: tags } = await listTags().catch(() => ({ results: [] }));
    update(
      byId("known-tags"),
      tags.map(({ tag }) => element("option", { value: tag })),
    );
    byId("tag-offers")?.replaceChildren(...tags.slice(0, MAX_OFFERED).map((row) => this.#offer(row)));
  }

  #offer({ tag, vehicle_count: count }) {
    const add = () => {
      this.#input.value = [...new Set([...tagsIn(this.#input.value), tag])].join(" ");
      this.#input.focus();
    };
    return button(tag, add, {
      class: "chip",
      title: `${whole(count)} ${count === 1 ? "vehicle has" : "vehicles have"} it`,
    });
  }

  #say(text) {
    showFieldError(this.#input, byId("tag-problem"), text);
    if (text) this.#input.focus();
  }
}
