// One field of a form for one parameter, made from its JSON Schema.

import { button, element, showFieldError } from "./dom.js";

export class ParameterField {
  #schema;
  #input;
  #error;
  #hint;

  constructor(name, schema, isRequired) {
    const id = `parameter-${name}`;
    this.name = name;
    this.#schema = schema;
    this.#input = control(schema, { id, name, required: isRequired, "aria-describedby": `${id}-hint` });
    this.#error = element("p", { class: "field-error", id: `${id}-error`, hidden: true });
    this.#hint = element("p", { class: "hint", id: `${id}-hint` }, schema.description ?? "");
    const isCheckbox = this.#input.type === "checkbox";
    const optional = !isRequired && !isCheckbox && element("span", { class: "optional" }, " optional");
    const label = element("label", { for: id }, schema.title ?? name, optional);
    this.row = element(
      "div",
      { class: isCheckbox ? "field check" : "field" },
      label,
      this.#input,
      this.#error,
      this.#hint,
      this.#examples(),
    );
    this.#input.addEventListener("input", () => this.showError(""));
    this.#input.addEventListener("change", () => this.#input.value && this.check());
  }

  /** Show what is wrong, if anything, and return whether the field is right. */
  check() {
    if (this.#input.type === "text") this.#input.value = inHexadecimal(this.#input.value.trim(), this.#schema);
    const text = problem(this.#input, this.#schema);
    this.showError(text);
    return !text;
  }

  showError(text) {
    showFieldError(this.#input, this.#error, text);
    this.#hint.hidden = Boolean(text); // the error quotes it
    this.#input.setAttribute("aria-describedby", `${this.#input.id}-${text ? "error" : "hint"}`);
  }

  fill(value) {
    if (this.#input.type === "checkbox") this.#input.checked = value === true;
    else this.#input.value = asInput(value ?? "");
    this.showError("");
  }

  /** undefined for an empty field. */
  value() {
    const { type, value, checked } = this.#input;
    if (type === "checkbox") return checked;
    if (value === "") return undefined;
    if (this.#schema.type === "object") return objectIn(value);
    if (this.#schema.enum) return this.#schema.enum.find((one) => String(one) === value);
    return type === "number" ? Number(value) : value;
  }

  onInput(handle) {
    this.#input.addEventListener("input", ({ target }) =>
      handle(target.type === "checkbox" ? target.checked : target.value),
    );
  }

  focus() {
    this.#input.focus();
  }

  #examples() {
    const { examples = [] } = this.#schema;
    const chip = (example) =>
      button(asInput(example), () => this.#use(example), { class: "chip", title: `Use ${asInput(example)}` });
    return examples.length > 0 && element("p", { class: "chips" }, examples.map(chip));
  }

  #use(example) {
    this.#input.value = asInput(example);
    this.#input.dispatchEvent(new Event("input"));
  }
}

/** "10" as "0x10", where a number in hexadecimal is meant. */
function inHexadecimal(text, { pattern }) {
  const isMeant = pattern?.startsWith("^0x") && !text.startsWith("0x") && new RegExp(pattern).test(`0x${text}`);
  return isMeant ? `0x${text}` : text;
}

const asInput = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** The JSON object in a text, or undefined. */
function objectIn(text) {
  try {
    const value = JSON.parse(text);
    return Object.prototype.toString.call(value) === "[object Object]" ? value : undefined;
  } catch {
    return undefined;
  }
}

function control(schema, attributes) {
  if (schema.enum) return choice(schema.enum, attributes);
  if (schema.type === "boolean") return checkbox(schema, attributes);
  if (schema.type === "integer" || schema.type === "number") return numberInput(schema, attributes);
  if (schema.type === "object") return objectInput(schema, attributes);
  return textInput(schema, attributes);
}

function objectInput({ examples = [{}] }, attributes) {
  return element("textarea", { rows: 3, placeholder: asInput(examples[0]), spellcheck: "false", ...attributes });
}

function checkbox({ default: isChecked }, attributes) {
  return element("input", { type: "checkbox", checked: isChecked === true, ...attributes, required: false });
}

function choice(values, attributes) {
  const options = values.map((value) => element("option", { value }, String(value)));
  if (!attributes.required) options.unshift(element("option", { value: "" }, "–"));
  return element("select", attributes, options);
}

function numberInput({ type, minimum: min, maximum: max, default: value }, attributes) {
  const step = type === "integer" ? 1 : "any";
  return element("input", { type: "number", step, min, max, value, ...attributes });
}

/** A default is filled in where a value is required, else shown as the placeholder. */
function textInput({ pattern, minLength, examples, default: value, writeOnly: isSecret }, attributes) {
  return element("input", {
    type: isSecret ? "password" : "text",
    value: attributes.required ? value : undefined,
    pattern: pattern && `.*(?:${pattern}).*`, // a pattern of JSON Schema matches anywhere, one of HTML the whole value
    minlength: minLength,
    placeholder: isSecret ? "" : (value ?? examples?.[0]),
    autocomplete: isSecret ? "new-password" : "off",
    autocapitalize: "off",
    spellcheck: "false",
    ...attributes,
  });
}

function problem(input, schema) {
  const { validity, value } = input;
  // Checked here, because the attribute `maxlength` would cut pasted text off silently.
  const isTooLong = value.length > schema.maxLength;
  const isNoObject = schema.type === "object" && value.trim() !== "" && !objectIn(value);
  if (validity.valid && !isTooLong && !isNoObject) return "";
  if (validity.valueMissing) return `Required: ${meaning(schema)}`;
  if (validity.patternMismatch || isTooLong || isNoObject) return `Not valid: ${meaning(schema)}`;
  return input.validationMessage;
}

function meaning({ description, examples = [], maxLength }) {
  if (description) return description;
  return examples.length ? `it looks like ${examples[0]}.` : `at most ${maxLength} characters of its form.`;
}
