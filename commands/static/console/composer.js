// The form of a new command: its fields are made from the JSON Schema of the chosen command type.

import { arrange, button, element } from "./dom.js";

/** onSubmit({vehicle_id, command_name, command_params}) does the sending; rejecting with `detail` and `fields` shows them here. */
export function createComposer({ form, picker, onSubmit }) {
  const select = form.querySelector("[data-command]");
  const about = form.querySelector("[data-about]");
  const holder = form.querySelector("[data-parameters]");
  const submit = form.querySelector("[type=submit]");
  const errors = form.querySelector("[data-errors]");
  const typed = new Map(); // What was typed for a parameter is kept when another command has it too.
  let types = [];
  let fields = [];

  const chosenType = () => types.find(({ name }) => name === select.value);

  function setTypes(list) {
    types = list;
    arrange(select, types.map(({ name }) => element("option", { value: name }, name)));
    showType();
  }

  function showType() {
    const type = chosenType();
    if (!type) return;
    arrange(about, description(type));
    const { properties = {}, required = [] } = type.schema ?? {};
    fields = Object.entries(properties).map(([name, schema]) => parameterField(name, schema, required.includes(name)));
    for (const field of fields) restore(field);
    arrange(holder, fields.length ? fields.map(({ row }) => row) : [element("p", { class: "muted" }, "This command has no parameters.")]);
    showErrors([]);
  }

  function restore({ name, input }) {
    if (typed.has(name) && input.type !== "checkbox") input.value = typed.get(name);
    input.addEventListener("input", () => typed.set(name, input.value));
  }

  async function send() {
    showErrors([]);
    const wrong = fields.filter((field) => !field.check());
    picker.complain(picker.chosenId() ? "" : "Choose a vehicle.");
    if (!picker.chosenId()) return picker.focus();
    if (wrong.length) return wrong[0].focus();
    busy(true);
    try {
      await onSubmit({ vehicle_id: picker.chosenId(), command_name: select.value, command_params: readAll(fields) });
    } catch (error) {
      showFailure(error);
    } finally {
      busy(false);
    }
  }

  function showFailure(error) {
    const beside = new Map(fields.map((field) => [`command_params.${field.name}`, field]));
    beside.set("vehicle_id", picker);
    const others = [];
    for (const [name, messages] of Object.entries(error.fields ?? {})) {
      const text = [messages].flat().join(" ");
      if (beside.has(name)) beside.get(name).complain(text);
      else others.push(`${name}: ${text}`);
    }
    const found = Object.keys(error.fields ?? {}).find((name) => beside.has(name));
    if (others.length || !found) showErrors([error.detail ?? "The command could not be submitted.", ...others]);
    if (found) beside.get(found).focus();
  }

  function showErrors(lines) {
    arrange(errors, lines.map((line) => element("p", {}, line)));
    errors.hidden = lines.length === 0;
  }

  function busy(isBusy) {
    submit.disabled = isBusy;
    submit.textContent = isBusy ? "Submitting…" : "Submit command";
  }

  select.addEventListener("change", showType);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!submit.disabled) send();
  });
  return { setTypes, showErrors };
}

function description({ description: text, safe_to_repeat: safe }) {
  const lines = [element("p", { class: "hint" }, text ?? "")];
  if (safe === false) lines.push(element("p", { class: "caution" }, "Changes the vehicle. If it breaks off while it runs, it is not repeated by itself."));
  return lines;
}

function readAll(fields) {
  const read = fields.map(({ name, value }) => [name, value()]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

function parameterField(name, schema, required) {
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
  const label = element("label", { for: id }, schema.title ?? name, !required && element("span", { class: "optional" }, " optional"));
  const row = element("div", { class: "field" }, label, input, error, hint(id, schema, input));
  return { name, input, row, check, complain, focus: () => input.focus(), value: () => valueOf(input, schema) };
}

function control(schema, attributes) {
  if (schema.enum) return choice(schema.enum, attributes);
  if (schema.type === "boolean") return element("input", { type: "checkbox", ...attributes, required: false });
  const { minimum: min, maximum: max, default: value } = schema;
  if (schema.type === "integer" || schema.type === "number") {
    return element("input", { type: "number", step: schema.type === "integer" ? 1 : "any", min, max, value, ...attributes });
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
  const chips = examples.map((example) => button(String(example), () => use(example), { class: "chip", title: `Use ${example}` }));
  return element("div", { class: "hint", id: `${id}-hint` }, text && element("span", {}, text), chips.length > 0 && element("span", { class: "chips" }, chips));
}

function problem(input, schema) {
  const { validity, value } = input;
  // Not the attribute: it would cut off what is pasted, without a word.
  if (value.length > schema.maxLength) return `At most ${schema.maxLength} characters.`;
  if (validity.valid) return "";
  if (validity.valueMissing) return "Fill this in.";
  const example = schema.examples?.[0];
  if (validity.patternMismatch) return `This does not have the right form${example ? `: it looks like ${example}` : ""}.`;
  return input.validationMessage;
}

function valueOf(input, schema) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return undefined;
  if (schema.enum) return schema.enum.find((value) => String(value) === input.value);
  return input.type === "number" ? Number(input.value) : input.value;
}
