// The fields of a form that name the command and its parameters, made from the JSON Schemas of the command types.

import { element, reconcile } from "./dom.js";
import { ParameterField } from "./parameter_field.js";

export class CommandFields {
  #select;
  #about;
  #holder;
  #options;
  #typed = new Map(); // by parameter: what was typed is kept when another command has it too
  #types = [];
  #fields = [];
  #isChosenByUser = false;

  /**
   * caution    text for a type that is not safe to repeat
   * whyNot     reason why a type cannot be chosen here, or ""
   * lastUsed   parameters to begin with, by name
   * onShow     called when another type is shown
   */
  constructor({ form, ...options }) {
    this.#select = form.querySelector("[data-command]");
    this.#about = form.querySelector("[data-about]");
    this.#holder = form.querySelector("[data-parameters]");
    this.#options = { whyNot: () => "", lastUsed: () => ({}), onShow: () => {}, ...options };
    this.#select.addEventListener("change", () => {
      this.#isChosenByUser = true;
      this.#showType();
    });
  }

  setTypes(types) {
    this.#types = types;
    reconcile(
      this.#select,
      types.map((type) => this.#option(type)),
    );
    const first = types.find((type) => !this.#options.whyNot(type));
    if (first) this.#select.value = first.name;
    this.#showType();
  }

  chosenType() {
    return this.#types.find(({ name }) => name === this.#select.value);
  }

  /** Whether the user has chosen a command or typed a parameter. */
  isBegun() {
    return this.#isChosenByUser || this.#typed.size > 0;
  }

  /** Take over the name and parameters of another command. False if there is no such type. */
  fillFrom({ command_name: name, command_params: params }) {
    if (!this.#types.some((type) => type.name === name)) return false;
    this.#select.value = name;
    this.#showType();
    for (const field of this.#fields) field.fill(params?.[field.name]);
    return true;
  }

  /** The fields that are wrong; each of them shows why. */
  wrongFields() {
    return this.#fields.filter((field) => !field.check());
  }

  values() {
    const entries = this.#fields.map((field) => [field.name, field.value()]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** The field of an error of the API. */
  fieldOfError(name) {
    return this.#fields.find((field) => `command_params.${field.name}` === name);
  }

  #option(type) {
    const reason = this.#options.whyNot(type);
    return element("option", { value: type.name, disabled: Boolean(reason) }, type.name, reason && ` (${reason})`);
  }

  #showType() {
    const type = this.chosenType();
    if (!type) return;
    reconcile(this.#about, this.#description(type));
    const { properties = {}, required = [] } = type.schema ?? {};
    const used = this.#options.lastUsed(type);
    this.#fields = Object.entries(properties).map(([name, schema]) => {
      const field = new ParameterField(name, schema, required.includes(name));
      return this.#restore(field, used);
    });
    const none = element("p", { class: "hint field" }, "This command has no parameters.");
    reconcile(this.#holder, this.#fields.length ? this.#fields.map(({ row }) => row) : [none]);
    this.#options.onShow();
  }

  #description({ description, safe_to_repeat: isSafe }) {
    const lines = [element("p", { class: "hint" }, description ?? "")];
    if (isSafe === false) lines.push(element("p", { class: "caution" }, this.#options.caution));
    return lines;
  }

  #restore(field, used) {
    const value = this.#typed.get(field.name) ?? used[field.name];
    if (value !== undefined) field.fill(value);
    field.onInput((entered) => this.#typed.set(field.name, entered));
    return field;
  }
}
