// The form that adds or changes a vehicle.

import { addVehicle, changeVehicle, getVehicle, listConnectors, listDescriptions } from "../api.js";
import { byId, reconcile, showLines } from "../dom.js";
import { vehicleAddress } from "../known_vehicles.js";
import { ParameterField } from "../parameter_field.js";
import { EcuRows } from "./ecu_rows.js";
import { SettingsFields } from "./settings_fields.js";

const ABOUT = {
  vin: {
    type: "string",
    title: "VIN",
    description: "17 letters and digits, without I, O and Q. Blanks and dashes are left out.",
  },
  make: { type: "string", title: "Make", maxLength: 100 },
  model: { type: "string", title: "Model", maxLength: 100 },
  year: { type: "integer", title: "Year", minimum: 0, maximum: 32767 },
};

const form = byId("vehicle-form");
const submit = form.querySelector("[type=submit]");
const id = form.dataset.vehicle;
const about = Object.entries(ABOUT).map(([name, schema]) => new ParameterField(name, schema, name === "vin"));
const ecus = new EcuRows();
const settings = new SettingsFields(form.querySelector("[data-settings]"), (name) => ecus.setConnector(name));
let isBusy = true; // until the form is filled

async function start() {
  reconcile(
    form.querySelector("[data-about]"),
    about.map(({ row }) => row),
  );
  try {
    const loads = [listConnectors(), listDescriptions(), id ? getVehicle(id) : null];
    const [{ results: connectors }, { results: descriptions }, vehicle] = await Promise.all(loads);
    ecus.setDescriptions(descriptions);
    for (const field of about) if (vehicle) field.fill(vehicle[field.name]);
    for (const ecu of vehicle?.ecus ?? []) ecus.add(ecu);
    settings.start(connectors, vehicle);
    isBusy = false;
    if (!vehicle) about[0].focus();
  } catch (error) {
    showErrors([error.detail ?? "The form could not be loaded. Reload the page."]);
  }
}

const showErrors = (lines) => showLines(byId("form-error"), lines, { isError: true });

function values() {
  const entries = about.map((field) => [field.name, field.value() ?? (field.name === "year" ? null : "")]);
  const reached = { connector: settings.connector, connector_settings: settings.values(), ecus: ecus.values() };
  return { ...Object.fromEntries(entries), ...reached };
}

async function save(event) {
  event.preventDefault();
  if (isBusy) return;
  showErrors([]);
  const wrong = [...about.filter((field) => !field.check()), ...settings.wrongFields(), ...ecus.wrongFields()];
  if (wrong.length) return wrong[0].focus();
  setBusy(true);
  try {
    const vehicle = await (id ? changeVehicle(id, values()) : addVehicle(values()));
    location.assign(`${vehicleAddress(vehicle.vehicle_id)}?test`);
  } catch (error) {
    showFailure(error);
    setBusy(false);
  }
}

function showFailure(error) {
  const others = [];
  let first = null;
  for (const [name, messages] of Object.entries(error.fields ?? {})) {
    const text = [messages].flat().join(" ");
    const field = fieldOf(name);
    field?.showError(text);
    if (!field) others.push(`${name}: ${text}`);
    first ??= field;
  }
  if (others.length || !first) showErrors(others.length ? others : [error.detail ?? "The vehicle was not saved."]);
  first?.focus();
}

const fieldOf = (name) =>
  about.find((field) => field.name === name) ?? settings.fieldOfError(name) ?? ecus.fieldOfError(name);

// Not `disabled`, which would take the focus away.
function setBusy(busy) {
  isBusy = busy;
  submit.setAttribute("aria-disabled", String(busy));
}

form.addEventListener("submit", save);
start();
