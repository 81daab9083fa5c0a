// Suggestions below the fields of a command: the ECUs of the chosen vehicle, and what an ECU's description offers by name.
// The name of a number that was typed or chosen stands below its field.

import { listNames } from "../api.js";
import { element, reconcile } from "../dom.js";

const KINDS = { dataId: "data", routineId: "routine" };
const ADDRESS = /^0x([0-9A-Fa-f]{2}){1,2}$/;
const TYPING_PAUSE_MS = 200;

const isNamed = ({ name }) => name === "ecuAddress" || name in KINDS;

function showName(input, pairs) {
  const number = input.value.trim().toLowerCase();
  const [, name] = pairs.find(([value]) => value.toLowerCase() === number) ?? [];
  const shown = input.parentNode.querySelector("[data-name]");
  if (shown) shown.textContent = name ?? "";
  else if (name) input.after(element("p", { class: "name-of-number", "data-name": "", role: "status" }, name));
}

export class Suggestions {
  #form;
  #chooser;
  #list = element("datalist", { id: "suggestions" });
  #typing;

  constructor(form, chooser) {
    this.#form = form;
    this.#chooser = chooser;
    form.append(this.#list);
    form.addEventListener("focusin", ({ target }) => this.#show(target));
    form.addEventListener("input", ({ target }) => {
      clearTimeout(this.#typing);
      if (isNamed(target)) this.#typing = setTimeout(() => this.#show(target), TYPING_PAUSE_MS);
    });
    form.addEventListener("change", ({ target }) => target.type === "radio" && this.showNames()); // another vehicle
  }

  /** Show the names of what the fields have now. */
  showNames() {
    for (const input of this.#form.elements) if (input.value) this.#show(input);
  }

  async #show(input) {
    if (!isNamed(input)) return;
    const { value } = input;
    const pairs = await this.#pairs(input).catch(() => []); // without them the number is typed
    if (input.value !== value) return; // an answer to what was typed before
    showName(input, pairs);
    if (document.activeElement !== input) return;
    input.setAttribute("list", this.#list.id);
    reconcile(
      this.#list,
      pairs.map(([number, label]) => element("option", { value: number, label: label || null })),
    );
  }

  async #pairs({ name, value }) {
    const [vehicle] = this.#chooser.chosen();
    if (!vehicle) return [];
    if (name === "ecuAddress") return vehicle.ecus.map((ecu) => [ecu.address, ecu.name]);
    const address = this.#form.elements.ecuAddress?.value.trim() ?? "";
    if (!ADDRESS.test(address)) return [];
    const filters = { ecu_address: address, kind: KINDS[name], search: value.trim() };
    const { results } = await listNames(vehicle.vehicle_id, filters);
    return results.map(({ number, name: text }) => [number, text]);
  }
}
