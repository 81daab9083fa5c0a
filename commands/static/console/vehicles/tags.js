// Tags of vehicles: shown as links to the vehicles that have them, added and removed.

import { changeTags } from "../api.js";
import { button, byId, element, showFieldError, showMessage, update } from "../dom.js";

/** The tags of a text, which blanks or commas separate. */
export const tagsIn = (text) => text.split(/[\s,]+/).filter(Boolean);

/** What the server says about the tags. */
export const problemOf = ({ fields, detail }) =>
  Object.values(fields ?? {})
    .flat(3)
    .join(" ") ||
  (detail ?? "The tags could not be changed. Try again.");

/** A list of tags; `more(tag)` makes a node beside each. */
export function tagList(tags = [], more = () => null) {
  const items = tags.map((tag) => element("li", {}, element("a", { href: addressOf(tag) }, tag), more(tag)));
  return items.length > 0 && element("ul", { class: "tags", "aria-label": "Tags" }, items);
}

const addressOf = (tag) => `/vehicles/?${new URLSearchParams({ tag })}`;

/** The panel of one vehicle's tags. */
export class TagPanel {
  #id;
  #onChange;
  #input = byId("new-tag"); // only for users who may change the vehicle

  constructor(id, onChange) {
    this.#id = id;
    this.#onChange = onChange;
    byId("tag-form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const tags = tagsIn(this.#input.value);
      if (tags.length) this.#change({ add: tags });
    });
  }

  show({ tags = [] }) {
    update(
      byId("tags"),
      tagList(tags, (tag) => this.#input && this.#removal(tag)),
    );
    showMessage(byId("no-tags"), tags.length ? "" : "None.");
  }

  #removal(tag) {
    return button("×", () => this.#change({ remove: [tag] }), { "aria-label": `Remove the tag ${tag}` });
  }

  async #change(what) {
    try {
      await changeTags({ vehicle_ids: [this.#id], ...what });
      this.#say("");
      this.#input.value = "";
    } catch (error) {
      this.#say(problemOf(error));
    }
    this.#input.focus();
    this.#onChange();
  }

  #say(text) {
    showFieldError(this.#input, byId("tag-problem"), text);
  }
}
