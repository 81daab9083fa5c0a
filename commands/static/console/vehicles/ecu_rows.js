// The rows of a vehicle's ECUs.

import { button, byId, element, showMessage } from "../dom.js";

const FIELDS = {
  address: { label: "Address", placeholder: "0x10", maxlength: 6 },
  name: { label: "Name", placeholder: "Engine control", maxlength: 100 },
  logical_address: { label: "Logical address", placeholder: "as the address", maxlength: 6 },
  component: { label: "SOVD component", placeholder: "engine", maxlength: 100 },
  variant: { label: "Variant", placeholder: "the only or base one", maxlength: 200, list: "variants" },
};
const ADDRESS = /^0x([0-9A-Fa-f]{2}){1,2}$/;
const ADDRESS_TEXT = "Not valid: two or four hexadecimal digits, such as 0x10 or 0x1010.";

let count = 0;

class EcuRow {
  #stored;
  #inputs = {};
  #description;
  #error = element("p", { class: "field-error", role: "alert", hidden: true });

  /** `stored`: the ECU as the API has it; what has no field stays. */
  constructor(stored, descriptions, onRemove) {
    this.#stored = stored;
    count += 1;
    const cells = Object.entries(FIELDS).map(([name, about]) => this.#cell(name, about));
    cells.splice(-1, 0, this.#descriptionCell(descriptions));
    const remove = button("Remove", () => onRemove(this), { class: "quiet", "aria-label": `Remove ECU ${count}` });
    this.node = element("li", { class: "ecu-row" }, cells, remove, this.#error);
  }

  value() {
    const typed = Object.entries(this.#inputs).map(([name, input]) => [name, input.value.trim()]);
    return { ...this.#stored, ...Object.fromEntries(typed), description: this.#description.value || null };
  }

  check() {
    const { address, logical_address: logical } = this.value();
    const isRight = ADDRESS.test(address) && (!logical || ADDRESS.test(logical));
    this.showError(isRight ? "" : ADDRESS_TEXT);
    return isRight;
  }

  showError(text) {
    showMessage(this.#error, text);
    this.#inputs.address.toggleAttribute("aria-invalid", Boolean(text));
  }

  focus() {
    this.#inputs.address.focus();
  }

  #descriptionCell(descriptions) {
    const id = `ecu-${count}-description`;
    const options = descriptions.map(({ description_id: value, file_name: name }) =>
      element("option", { value }, name),
    );
    this.#description = element("select", { id }, element("option", { value: "" }, "none"), options);
    const stored = this.#stored.description;
    if (stored && !descriptions.some(({ description_id: known }) => known === stored))
      this.#description.append(element("option", { value: stored }, stored));
    this.#description.value = stored ?? "";
    this.#description.addEventListener("change", () => this.showError(""));
    return element(
      "div",
      { "data-of": "description" },
      element("label", { for: id }, "Description"),
      this.#description,
    );
  }

  #cell(name, { label, ...attributes }) {
    const id = `ecu-${count}-${name}`;
    const value = this.#stored[name] ?? "";
    const input = element("input", { id, value, autocomplete: "off", spellcheck: "false", ...attributes });
    input.addEventListener("input", () => this.showError(""));
    this.#inputs[name] = input;
    return element("div", { "data-of": name }, element("label", { for: id }, label), input);
  }
}

export class EcuRows {
  #list = byId("ecus");
  #rows = [];
  #descriptions = [];

  constructor() {
    byId("add-ecu").addEventListener("click", () => this.add({}).focus());
  }

  /** Show the fields that this connector needs. */
  setConnector(name) {
    this.#list.dataset.connector = name;
  }

  /** The descriptions to choose from, before the first row is added. */
  setDescriptions(descriptions) {
    this.#descriptions = descriptions.filter(({ state }) => state === "ready");
    const names = new Set(this.#descriptions.flatMap(({ layers }) => layers));
    byId("variants").replaceChildren(...[...names].map((value) => element("option", { value })));
  }

  add(ecu) {
    const row = new EcuRow(ecu, this.#descriptions, (removed) => this.#remove(removed));
    this.#rows.push(row);
    this.#list.append(row.node);
    return row;
  }

  wrongFields() {
    return this.#rows.filter((row) => !row.check());
  }

  values() {
    return this.#rows.map((row) => row.value());
  }

  /** The row of an error such as `ecus.1.address`. */
  fieldOfError(name) {
    const place = /^ecus\.(\d+)\./.exec(name)?.[1];
    return place && this.#rows[Number(place)];
  }

  #remove(row) {
    this.#rows = this.#rows.filter((other) => other !== row);
    row.node.remove();
    byId("add-ecu").focus();
  }
}
