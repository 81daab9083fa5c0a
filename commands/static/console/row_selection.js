// The rows of a list that are selected: several by checkboxes, or one by radio buttons.

import { element } from "./dom.js";

export class RowSelection {
  #rows;
  #type;
  #selectAll;
  #onChange;
  #ids = new Set();

  /**
   * rows       element that holds the rows, each with an input made by `input`
   * type       "checkbox" or "radio"
   * selectAll  checkbox for all rows that are shown
   * onChange   called with the selected ids, in the order of selection, and the number of rows that can be selected
   */
  constructor({ rows, type = "checkbox", selectAll = null, onChange }) {
    this.#rows = rows;
    this.#type = type;
    this.#selectAll = selectAll;
    this.#onChange = onChange;
    rows.addEventListener("change", ({ target }) => {
      if (target.matches("[data-select]")) this.select([target.value], target.checked);
    });
    selectAll?.addEventListener("change", () => this.select(this.#shownIds(), selectAll.checked));
  }

  input(id, attributes = {}) {
    return element("input", {
      type: this.#type,
      "data-select": true,
      value: id,
      checked: this.has(id),
      ...attributes,
    });
  }

  select(ids, isSelected = true) {
    if (this.#type === "radio") this.#ids.clear();
    for (const id of ids) {
      if (isSelected) this.#ids.add(id);
      else this.#ids.delete(id);
    }
    this.update();
  }

  /** Show the selection in the inputs, including those that have just appeared. */
  update() {
    const inputs = this.#inputs();
    for (const input of inputs) input.checked = this.has(input.value);
    if (this.#selectAll) this.#showAll(inputs);
    this.#onChange(this.ids(), inputs.length);
  }

  #showAll(inputs) {
    const count = inputs.filter(({ checked }) => checked).length;
    this.#selectAll.checked = count > 0 && count === inputs.length;
    this.#selectAll.indeterminate = count > 0 && count < inputs.length;
    this.#selectAll.disabled = inputs.length === 0;
  }

  #inputs() {
    return [...this.#rows.querySelectorAll("[data-select]:not(:disabled)")];
  }

  #shownIds() {
    return this.#inputs().map(({ value }) => value);
  }

  has(id) {
    return this.#ids.has(id);
  }

  ids() {
    return [...this.#ids];
  }

  /** Deselect every id that is not among these. */
  keepOnly(ids) {
    for (const id of this.#ids) if (!ids.has(id)) this.#ids.delete(id);
    this.update();
  }

  clear() {
    this.#ids.clear();
    this.update();
  }
}
