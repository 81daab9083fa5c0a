// The saved views of a list: links to its page with the filters that somebody has saved.

import { changeView, deleteView, listViews, saveView } from "./api.js";
import { button, byId, element, showFieldError, showMessage, update } from "./dom.js";
import { viewer } from "./site.js";

const MAX_SHOWN = 100;

export class SavedViews {
  #query;
  #page = byId("views").dataset.page;
  #dialog = byId("view-dialog");
  #name = byId("view-name");
  #changed = null; // the view that the dialog is about; null for a new one

  /** query() returns the present filters of the page. */
  constructor(query) {
    this.#query = query;
    byId("view-open").addEventListener("click", () => this.#ask());
    byId("view-not").addEventListener("click", () => this.#dialog.close());
    byId("view-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#load().catch((error) => this.#tell(error.detail));
  }

  async #load() {
    const { results } = await listViews({ page: this.#page, page_size: MAX_SHOWN });
    const items = results.map((view) => this.#item(view));
    update(byId("view-list"), items);
    byId("view-list").hidden = !items.length;
  }

  #item(view) {
    const { name, query, owner, is_shared: isShared } = view;
    const isOwn = owner === viewer.username;
    const title = isOwn ? isShared && "Shared with all users" : `Shared by ${owner}`;
    const removal = { "aria-label": `Delete the view ${name}` };
    const link = element("a", { href: `/${this.#page}/?${query}`, title }, name);
    const change = { "aria-label": `Rename the view ${name}`, "aria-haspopup": "dialog" };
    const buttons = isOwn && [
      button("Rename", () => this.#ask(view), change),
      button("×", () => this.#remove(view), removal),
    ];
    return element("li", {}, link, buttons);
  }

  #ask(view = null) {
    this.#changed = view;
    byId("view-heading").textContent = view ? `Rename the view ${view.name}` : "Save these filters as a view";
    byId("view-form").reset();
    this.#name.value = view?.name ?? "";
    byId("view-shared").checked = view?.is_shared ?? false;
    this.#say("");
    this.#dialog.showModal();
    this.#name.select();
  }

  async #save() {
    const view = { name: this.#name.value.trim(), is_shared: byId("view-shared").checked };
    const query = String(this.#query());
    const id = this.#changed?.view_id;
    if (!id && !query) return this.#say("Go back and set a filter: a view is a set of filters.");
    if (!view.name) return this.#say("Give it a name.");
    try {
      await (id ? changeView(id, view) : saveView({ page: this.#page, query, ...view }));
      this.#dialog.close();
      await this.#load();
    } catch (error) {
      this.#say(
        Object.values(error.fields ?? {})
          .flat()
          .join(" ") ||
          (error.detail ?? "It was not saved. Try again."),
      );
    }
  }

  async #remove({ view_id: id }) {
    byId("view-open").focus(); // the button that had the focus goes
    try {
      await deleteView(id);
      await this.#load();
      this.#tell("");
    } catch (error) {
      this.#tell(error.detail);
    }
  }

  #say(text) {
    showFieldError(this.#name, byId("view-problem"), text);
  }

  #tell(text) {
    showMessage(byId("view-message"), text, { isError: true });
  }
}
