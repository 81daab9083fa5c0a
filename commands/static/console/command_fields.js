// The part of a form that says which command, and with which parameters: made from the types' JSON Schemas.

import { arrange, element } from "./dom.js";
import { parameterField } from "./workbench/fields.js";

/**
 * caution   what to say of a type that is not safe to repeat
 * whyNot    of a type: why it cannot be chosen here, or ""
 * lastUsed  of a type: parameters to begin with
 * onShow    called when another type is shown
 */
export function createCommandFields({ form, caution, whyNot = () => "", lastUsed = () => ({}), onShow = () => {} }) {
  const select = form.querySelector("[data-command]");
  const about = form.querySelector("[data-about]");
  const holder = form.querySelector("[data-parameters]");
  const typed = new Map(); // What was typed for a parameter is kept when another command has it too.
  let types = [];
  let fields = [];
  let isChosen = false; // by a person

  const chosenType = () => types.find(({ name }) => name === select.value);

  function setTypes(list) {
    types = list;
    arrange(select, types.map(option));
    const first = types.find((type) => !whyNot(type));
    if (first) select.value = first.name;
    showType();
  }

  function option(type) {
    const reason = whyNot(type);
    return element("option", { value: type.name, disabled: Boolean(reason) }, type.name, reason && ` (${reason})`);
  }

  function showType() {
    const type = chosenType();
    if (!type) return;
    arrange(about, description(type));
    const { properties = {}, required = [] } = type.schema ?? {};
    fields = Object.entries(properties).map(([name, schema]) => parameterField(name, schema, required.includes(name)));
    const used = lastUsed(type);
    for (const field of fields) restore(field, used);
    const none = element("p", { class: "hint field" }, "It has no parameters.");
    arrange(holder, fields.length ? fields.map(({ row }) => row) : [none]);
    onShow();
  }

  function description({ description: text, safe_to_repeat: safe }) {
    const lines = [element("p", { class: "hint" }, text ?? "")];
    if (safe === false) lines.push(element("p", { class: "caution" }, caution));
    return lines;
  }

  function restore({ name, input, fill }, used) {
    const value = typed.get(name) ?? used[name];
    if (value !== undefined) fill(value);
    const entered = () => (input.type === "checkbox" ? input.checked : input.value);
    input.addEventListener("input", () => typed.set(name, entered()));
  }

  select.addEventListener("change", () => {
    isChosen = true;
    showType();
  });

  return {
    setTypes,
    chosenType,
    /** A person has chosen a command or typed a parameter. */
    isBegun: () => isChosen || typed.size > 0,
    /** As another command was; tells whether there is such a type. */
    fillFrom({ command_name: name, command_params: params }) {
      if (!types.some((type) => type.name === name)) return false;
      select.value = name;
      showType();
      for (const field of fields) field.fill(params?.[field.name]);
      return true;
    },
    /** Those that are wrong, which each says itself. */
    wrong: () => fields.filter((field) => !field.check()),
    values() {
      const read = fields.map(({ name, value }) => [name, value()]);
      return Object.fromEntries(read.filter(([, value]) => value !== undefined));
    },
    /** The field that the API's errors call so. */
    named: (name) => fields.find((field) => `command_params.${field.name}` === name),
  };
}
