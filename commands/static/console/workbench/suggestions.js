// Suggestions below the fields of a command: the ECUs of the chosen vehicle, and what an ECU's description offers by name.

import { listNames } from "../api.js";
import { element, reconcile } from "../dom.js";

const KINDS = { dataId: "data", routineId: "routine" };
const ADDRESS = /^0x([0-9A-Fa-f]{2}){1,2}$/;
const TYPING_PAUSE_MS = 200;

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
      if (target.name in KINDS) this.#typing = setTimeout(() => this.#show(target), TYPING_PAUSE_MS);
    });
  }

  async #show(input) {
    if (input.name !== "ecuAddress" && !(input.name in KINDS)) return;
    const { value } = input;
    const pairs = await this.#pairs(input).catch(() => []); // without them the number is typed
    if (document.activeElement !== input || input.value !== value) return; // an answer to what was typed before
    input.setAttribute("list", this.#list.id);
    reconcile(
      this.#list,
      pairs.map(([value, label]) => element("option", { value, label: label || null })),
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
