// What is sent: the command type and its parameters, and when to stop.

import { arrange, element } from "../dom.js";
import { parameterField } from "../workbench/fields.js";

const WHY_NOT = "only a fleet admin may send it to many";

/** `canSendUnsafe`: what must not run twice may be chosen too. */
export function createCommandForm({ form, canSendUnsafe }) {
  const select = form.querySelector("[data-command]");
  const about = form.querySelector("[data-about]");
  const holder = form.querySelector("[data-parameters]");
  const stopAbove = form.querySelector("[data-stop-above]");
  const stopError = document.getElementById("stop-above-error");
  const typed = new Map(); // What was typed for a parameter is kept when another command has it too.
  let types = [];
  let fields = [];

  const chosenType = () => types.find(({ name }) => name === select.value);
  const isOffered = (type) => type.safe_to_repeat !== false || canSendUnsafe;

  function setTypes(list) {
    types = list;
    arrange(select, types.map(option));
    const first = types.find(isOffered);
    if (first) select.value = first.name;
    showType();
  }

  function option(type) {
    const words = isOffered(type) ? type.name : `${type.name} (${WHY_NOT})`;
    return element("option", { value: type.name, disabled: !isOffered(type) }, words);
  }

  function showType() {
    const type = chosenType();
    if (!type) return;
    arrange(about, description(type));
    const { properties = {}, required = [] } = type.schema ?? {};
    fields = Object.entries(properties).map(([name, schema]) => parameterField(name, schema, required.includes(name)));
    for (const field of fields) restore(field);
    const none = element("p", { class: "hint field" }, "It has no parameters.");
    arrange(holder, fields.length ? fields.map(({ row }) => row) : [none]);
  }

  function restore({ name, input }) {
    if (typed.has(name) && input.type !== "checkbox") input.value = typed.get(name);
    input.addEventListener("input", () => typed.set(name, input.value));
  }

  function checkStopAbove() {
    complainOfStop(stopAbove.validity.valid ? "" : "A whole number from 0 to 100, or nothing.");
    return stopAbove.validity.valid;
  }

  function complainOfStop(text) {
    stopError.textContent = text;
    stopError.hidden = !text;
    if (text) stopAbove.setAttribute("aria-invalid", "true");
    else stopAbove.removeAttribute("aria-invalid");
  }

  /** {type, request}; null if something is wrong: it then says what, and the focus is there. */
  function read() {
    const wrong = fields.filter((field) => !field.check());
    if (!checkStopAbove()) wrong.push(stopAbove);
    wrong[0]?.focus();
    const type = chosenType();
    if (wrong.length || !type) return null;
    const percent = stopAbove.value === "" ? null : Number(stopAbove.value);
    const values = fields.map(({ name, value }) => [name, value()]).filter(([, value]) => value !== undefined);
    const request = { command_name: type.name, command_params: Object.fromEntries(values) };
    return { type, request: { ...request, stop_above_failed_percent: percent } };
  }

  /** Says beside its field what is wrong there; tells whether there is such a field. */
  function complain(name, text) {
    const field = fields.find((one) => `command_params.${one.name}` === name);
    if (name === "stop_above_failed_percent") complainOfStop(text);
    else field?.complain(text);
    return Boolean(field) || name === "stop_above_failed_percent";
  }

  select.addEventListener("change", showType);
  stopAbove.addEventListener("input", () => complainOfStop(""));
  return { setTypes, read, complain };
}

function description({ description: text, safe_to_repeat: safe }) {
  const caution = "It changes the vehicles. Where it breaks off while it runs, it is not repeated by itself.";
  return [
    element("p", { class: "hint" }, text ?? ""),
    ...(safe === false ? [element("p", { class: "caution" }, caution)] : []),
  ];
}
