// The form of a new command: its fields are made from the JSON Schema of the chosen command type.

import { arrange, element, replayedWords } from "../dom.js";
import { parameterField } from "./fields.js";
import { recall, remember } from "./remembered.js";
import { KEPT_MINUTES } from "../submission.js";

/**
 * confirm({vehicle, type, params})  resolves with what the person has confirmed by, or with null
 * submit({vehicle_id, command_name, command_params, confirmation?})  when it rejects, `detail` and `fields` are shown
 * here, else onSubmitted gets what it answered
 */
export function createComposer({ form, picker, confirm, submit, onSubmitted }) {
  const select = form.querySelector("[data-command]");
  const about = form.querySelector("[data-about]");
  const holder = form.querySelector("[data-parameters]");
  const send = form.querySelector("[type=submit]");
  const errors = form.querySelector("[data-errors]");
  const typed = new Map(); // What was typed for a parameter is kept when another command has it too.
  let types = [];
  let fields = [];
  let busy = false;
  let isByHand = false; // the command was chosen, or a parameter typed

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
    const lastUsed = recall(type.name) ?? {};
    for (const field of fields) restore(field, lastUsed);
    arrange(
      holder,
      fields.length ? fields.map(({ row }) => row) : [element("p", { class: "hint field" }, "It has no parameters.")],
    );
    showErrors([]);
  }

  function restore({ name, input, fill }, lastUsed) {
    const value = typed.get(name) ?? lastUsed[name];
    if (value !== undefined) fill(value);
    if (input.type !== "checkbox") input.addEventListener("input", () => typed.set(name, input.value));
  }

  /** As another command was; what a person has begun meanwhile stays. */
  function fillFrom({ command_name: name, command_params: params }) {
    if (isByHand || typed.size > 0) return;
    if (!types.some((type) => type.name === name)) return showErrors([`There is no command ${name} any more.`]);
    select.value = name;
    typed.clear();
    showType();
    for (const field of fields) field.fill(params?.[field.name]);
    if (document.activeElement === document.body) send.focus({ preventScroll: true });
  }

  async function trySubmit() {
    showErrors([]);
    const wrong = fields.filter((field) => !field.check());
    const vehicle = picker.chosen();
    picker.complain(vehicle ? "" : "Choose a vehicle.");
    if (!vehicle) return picker.focus();
    if (wrong.length) return wrong[0].focus();
    const type = chosenType();
    if (!type) return showErrors(["The commands are not here yet: reload the page."]);
    const request = { vehicle_id: vehicle.vehicle_id, command_name: type.name, command_params: readAll(fields) };
    if (type.safe_to_repeat) return sendOff(request);
    const confirmation = await confirm({ vehicle, type, params: request.command_params });
    if (confirmation) await sendOff({ ...request, confirmation });
  }

  async function sendOff(request) {
    setBusy(true);
    const command = await submit(request).catch(showFailure);
    setBusy(false);
    if (!command) return;
    remember(request.command_name, request.command_params);
    if (command.is_replayed) tell([replayedWords(command)]);
    onSubmitted(command);
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
    if (others.length || !found) showErrors(others.length ? others : [detailOf(error)]);
    if (found) beside.get(found).focus();
  }

  const showErrors = (lines) => tell(lines, true);

  function tell(lines, isError = false) {
    arrange(
      errors,
      lines.map((line) => element("p", {}, line)),
    );
    errors.classList.toggle("error", isError);
    errors.hidden = lines.length === 0;
  }

  // Not `disabled`: that would take the focus away.
  function setBusy(value) {
    busy = value;
    send.setAttribute("aria-disabled", String(value));
    send.textContent = value ? "Submitting…" : "Submit command";
  }

  select.addEventListener("change", showType);
  for (const part of [select, holder]) part.addEventListener("input", () => (isByHand = true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) trySubmit();
  });
  return { setTypes, showErrors, fillFrom };
}

function description({ description: text, safe_to_repeat: safe }) {
  const lines = [element("p", { class: "hint" }, text ?? "")];
  const caution = "It changes the vehicle, so you are asked to confirm it. If it breaks off, it is not repeated by itself.";
  if (safe === false) lines.push(element("p", { class: "caution" }, caution));
  return lines;
}

function detailOf({ detail, uncertain }) {
  return uncertain ? `${detail} Submit again within ${KEPT_MINUTES} minutes: it will not run twice.` : detail;
}

function readAll(fields) {
  const read = fields.map(({ name, value }) => [name, value()]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}
