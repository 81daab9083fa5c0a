// The form of a new command: its fields are made from the JSON Schema of the chosen command type.

import { arrange, element } from "../dom.js";
import { parameterField } from "./fields.js";

/**
 * submit({vehicle_id, command_name, command_params}) does the sending; when it rejects, `detail` and `fields` are shown
 * here, else onSubmitted gets what it answered.
 */
export function createComposer({ form, picker, submit, onSubmitted }) {
  const select = form.querySelector("[data-command]");
  const about = form.querySelector("[data-about]");
  const holder = form.querySelector("[data-parameters]");
  const send = form.querySelector("[type=submit]");
  const errors = form.querySelector("[data-errors]");
  const typed = new Map(); // What was typed for a parameter is kept when another command has it too.
  let types = [];
  let fields = [];
  let busy = false;

  const chosenType = () => types.find(({ name }) => name === select.value);

  function setTypes(list) {
    types = list;
    arrange(
      select,
      types.map(({ name }) => element("option", { value: name }, name)),
    );
    showType();
  }

  function showType() {
    const type = chosenType();
    if (!type) return;
    arrange(about, description(type));
    const { properties = {}, required = [] } = type.schema ?? {};
    fields = Object.entries(properties).map(([name, schema]) => parameterField(name, schema, required.includes(name)));
    for (const field of fields) restore(field);
    arrange(
      holder,
      fields.length ? fields.map(({ row }) => row) : [element("p", { class: "hint field" }, "It has no parameters.")],
    );
    showErrors([]);
  }

  function restore({ name, input }) {
    if (typed.has(name) && input.type !== "checkbox") input.value = typed.get(name);
    input.addEventListener("input", () => typed.set(name, input.value));
  }

  async function trySubmit() {
    showErrors([]);
    const wrong = fields.filter((field) => !field.check());
    picker.complain(picker.chosenId() ? "" : "Choose a vehicle.");
    if (!picker.chosenId()) return picker.focus();
    if (wrong.length) return wrong[0].focus();
    setBusy(true);
    const request = { vehicle_id: picker.chosenId(), command_name: select.value, command_params: readAll(fields) };
    const command = await submit(request).catch(showFailure);
    setBusy(false);
    if (command) onSubmitted(command);
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
    if (others.length || !found) showErrors(others.length ? others : [error.detail]);
    if (found) beside.get(found).focus();
  }

  function showErrors(lines) {
    arrange(
      errors,
      lines.map((line) => element("p", {}, line)),
    );
    errors.hidden = lines.length === 0;
  }

  // Not `disabled`: that would take the focus away.
  function setBusy(value) {
    busy = value;
    send.setAttribute("aria-disabled", String(value));
    send.textContent = value ? "Submitting…" : "Submit command";
  }

  select.addEventListener("change", showType);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) trySubmit();
  });
  return { setTypes, showErrors };
}

function description({ description: text, safe_to_repeat: safe }) {
  const lines = [element("p", { class: "hint" }, text ?? "")];
  const caution = "It changes the vehicle. If it breaks off while it runs, it is not repeated by itself.";
  if (safe === false) lines.push(element("p", { class: "caution" }, caution));
  return lines;
}

function readAll(fields) {
  const read = fields.map(({ name, value }) => [name, value()]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}
