// One field of the form for one parameter, made from its JSON Schema.

import { button, element } from "../dom.js";

/** check() complains beside the field and tells whether all is well; value() is undefined for nothing. */
export function parameterField(name, schema, required) {
  const id = `parameter-${name}`;
  const input = control(schema, { id, name, required, "aria-describedby": `${id}-hint ${id}-error` });
  const error = element("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const complain = (message) => {
    error.textContent = message;
    error.hidden = !message;
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
  const label = element(
    "label",
    { for: id },
    schema.title ?? name,
    !required && element("span", { class: "optional" }, " optional"),
  );
  const row = element("div", { class: "field" }, label, input, error, hint(id, schema, input));
  return { name, input, row, check, complain, focus: () => input.focus(), value: () => valueOf(input, schema) };
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
  return element(
    "div",
    { class: "hint" },
    element("span", { id: `${id}-hint` }, text ?? ""),
    examples.length > 0 && element("span", { class: "chips" }, examples.map(chip)),
  );
}

function problem(input, schema) {
  const { validity, value } = input;
  // Not the attribute: it would cut off what is pasted, without a word.
  if (value.length > schema.maxLength) return `At most ${schema.maxLength} characters.`;
  if (validity.valid) return "";
  if (validity.valueMissing) return "Fill this in.";
  const example = schema.examples?.[0];
  if (validity.patternMismatch)
    return `This does not have the right form${example ? `: it looks like ${example}` : ""}.`;
  return input.validationMessage;
}

function valueOf(input, schema) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return undefined;
  if (schema.enum) return schema.enum.find((value) => String(value) === input.value);
  return input.type === "number" ? Number(input.value) : input.value;
}
