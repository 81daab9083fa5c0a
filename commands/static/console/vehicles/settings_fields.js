// The connector of a vehicle and its settings: fields made from the connector's JSON Schema.

import { byId, element, reconcile } from "../dom.js";
import { ParameterField } from "../parameter_field.js";

const SHOWN_TYPES = new Set(["string", "integer", "number", "boolean", "object"]);

export class SettingsFields {
  #select = byId("connector");
  #holder;
  #onChoice;
  #connectors = [];
  #fields = [];
  #stored = { connector: null, settings: {} };

  /** onChoice(name) is called when another connector is chosen. */
  constructor(holder, onChoice) {
    this.#holder = holder;
    this.#onChoice = onChoice;
    this.#select.addEventListener("change", () => this.#show());
  }

  /** Offer these connectors. `vehicle` has the stored settings, if there is one. */
  start(connectors, vehicle) {
    this.#connectors = connectors;
    if (vehicle) this.#stored = { connector: vehicle.connector, settings: vehicle.connector_settings };
    reconcile(
      this.#select,
      connectors.map(({ name }) => element("option", { value: name }, name)),
    );
    const preferred = connectors.find(({ name }) => name === "doip") ?? connectors[0];
    this.#select.value = vehicle?.connector ?? preferred.name;
    this.#show();
  }

  get connector() {
    return this.#select.value;
  }

  wrongFields() {
    return this.#fields.filter((field) => !field.check());
  }

  /** The settings. Those that no field can show stay; a secret without a value is left out and so stays, too. */
  values() {
    const shown = this.#fields.map((field) => [field.name, field.value()]);
    const names = new Set(this.#fields.map(({ name }) => name));
    const others = Object.entries(this.#known()).filter(([name]) => !names.has(name));
    return Object.fromEntries([...others, ...shown].filter(([, value]) => value !== undefined));
  }

  fieldOfError(name) {
    if (name === "connector") return { showError: () => {}, focus: () => this.#select.focus(), isSilent: true };
    return this.#fields.find((field) => `connector_settings.${field.name}` === name);
  }

  #known() {
    return this.#stored.connector === this.connector ? this.#stored.settings : {};
  }

  #show() {
    const { name, description, settings_schema: schema } = this.#connectors.find((one) => one.name === this.connector);
    byId("connector-about").textContent = description;
    const known = this.#known();
    const isStored = this.#stored.connector === name;
    this.#fields = Object.entries(schema.properties)
      .filter(([, rules]) => SHOWN_TYPES.has(rules.type))
      .map(([setting, rules]) => settingField(setting, rules, schema.required ?? [], known[setting], isStored));
    reconcile(
      this.#holder,
      this.#fields.map(({ row }) => row),
    );
    this.#onChoice(name);
  }
}

function settingField(name, rules, required, value, isStored) {
  const mayStay = rules.writeOnly && isStored;
  const about = mayStay ? { ...rules, description: `${rules.description} Left empty, a stored value stays.` } : rules;
  const field = new ParameterField(name, about, required.includes(name) && !mayStay);
  if (value !== undefined) field.fill(value);
  return field;
}
