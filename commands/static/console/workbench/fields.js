// One field of the form for one parameter, made from its JSON Schema.

import { button, element } from "../dom.js";

/** check() complains beside the field and tells whether all is well; value() is undefined for nothing. */
export function parameterField(name, schema, required) {
  const id = `parameter-${name}`;
  const input = control(schema, { id, name, required, "aria-describedby": `${id}-hint` });
  const error = element("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const help = hint(id, schema, input);
  const complain = (message) => {
    error.textContent = message;
    error.hidden = !message;
    help.about.hidden = Boolean(message); // which the complaint quotes, in its place, for the ear too
    input.setAttribute("aria-describedby", `${id}-${message ? "error" : "hint"}`);
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const check = () => {
    if (input.type === "text") input.value = input.value.trim();
    const wrong = problem(input, schema);
    complain(wrong);
    return !wrong;
  };
  input.addEventListener("input", () => complain(""));
  input.addEventListener("change", () => input.value && check());
  const label = element(
    "label",
    { for: id },
    schema.title ?? name,
    !required && element("span", { class: "optional" }, " optional"),
  );
  const row = element("div", { class: "field" }, label, input, error, help.about, help.chips);
  const fill = (value) => {
    if (input.type === "checkbox") input.checked = value === true;
    else input.value = value ?? "";
    complain("");
  };
  return { name, input, row, check, complain, fill, focus: () => input.focus(), value: () => valueOf(input, schema) };
}

function control(schema, attributes) {
  if (schema.enum) return choice(schema.enum, attributes);
  if (schema.type === "boolean") return element("input", { type: "checkbox", ...attributes, required: false });
  const { minimum: min, maximum: max, default: value } = schema;
  if (schema.type === "integer" || schema.type === "number") {
    return element("input", {
      type: "number",
      step: schema.type === "integer" ? 1 : "any",
      min,
      max,
      value,
      ...attributes,
    });
  }
  return element("input", {
    type: "text",
    value,
    // A JSON Schema pattern matches anywhere, an HTML one the whole value.
    pattern: schema.pattern && `.*(?:${schema.pattern}).*`,
    minlength: schema.minLength,
    placeholder: schema.examples?.[0],
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    ...attributes,
  });
}

function choice(values, attributes) {
  const options = values.map((value) => element("option", { value }, String(value)));
  if (!attributes.required) options.unshift(element("option", { value: "" }, "–"));
  return element("select", attributes, options);
}

function hint(id, { description: text, examples = [] }, input) {
  const use = (example) => {
    input.value = example;
    input.dispatchEvent(new Event("input"));
  };
  const chip = (example) => button(String(example), () => use(example), { class: "chip", title: `Use ${example}` });
  return {
    about: element("p", { class: "hint", id: `${id}-hint` }, text ?? ""),
    chips: examples.length > 0 && element("p", { class: "chips" }, examples.map(chip)),
  };
}

function problem(input, schema) {
  const { validity, value } = input;
  // Not the attribute: it would cut off what is pasted, without a word.
  const isTooLong = value.length > schema.maxLength;
  if (validity.valid && !isTooLong) return "";
  if (validity.valueMissing) return `Required: ${meaning(schema)}`;
  if (validity.patternMismatch || isTooLong) return `Not valid: ${meaning(schema)}`;
  return input.validationMessage;
}

function meaning({ description, examples = [], maxLength }) {
  if (description) return description;
  return examples.length ? `it looks like ${examples[0]}.` : `at most ${maxLength} characters of its form.`;
}

function valueOf(input, schema) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return undefined;
  if (schema.enum) return schema.enum.find((value) => String(value) === input.value);
  return input.type === "number" ? Number(input.value) : input.value;
}
