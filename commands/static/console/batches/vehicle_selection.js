// The vehicles of a new batch: chosen one by one, or all that match the filter.

import { previewBatch } from "../api.js";
import { button, element, reconcile } from "../dom.js";
import { counted } from "../format.js";
import { isConnected } from "../known_vehicles.js";
import { VehicleChooser } from "../vehicle_chooser.js";

export class VehicleSelection {
  #root;
  #modes;
  #max;
  #chooser;
  #chips = new Map(); // by vehicle id
  #matching = null; // {request, count, disconnected} of the filter or {error}, null while they are counted
  #counting = null; // resolves when `#matching` belongs to the present filter

  /** `form` has the radio buttons of the mode. */
  constructor({ root, form }) {
    this.#root = root;
    this.#modes = form.elements.mode;
    this.#max = Number(root.dataset.max);
    this.#chooser = new VehicleChooser({
      root,
      isMultiple: true,
      onChange: (vehicles, shownCount) => this.#drawChosen(vehicles, shownCount),
      onFilter: () => this.recount(),
    });
    for (const mode of this.#modes) mode.addEventListener("change", () => this.#setMode());
    this.#part("choose-none").addEventListener("click", () => {
      this.#chooser.clear();
      this.#part("choose-page").focus(); // the button that had the focus is gone
    });
    this.#setMode();
  }

  chooseFromLink(ids) {
    return this.#chooser.chooseFromLink(ids);
  }

  /** The selection's part of the request, with its numbers; null if something is wrong, and then shown. */
  async read() {
    if (this.#isFilter()) await this.recount();
    const text = this.#problem();
    this.showError(text);
    if (text) return null;
    if (this.#isFilter()) return this.#matching;
    const vehicles = this.#chooser.chosen();
    const ids = vehicles.map(({ vehicle_id: id }) => id);
    const disconnected = vehicles.filter((vehicle) => !isConnected(vehicle)).length;
    return { request: { vehicle_ids: ids }, count: ids.length, disconnected };
  }

  showError(text) {
    this.#chooser.showError(text);
  }

  focus() {
    this.#chooser.focusSearch();
  }

  /** Count the vehicles that match the filter, if these are sent to. */
  recount() {
    if (!this.#isFilter()) return undefined;
    this.#matching = null;
    this.#drawCount();
    const counting = this.#count().then((found) => {
      if (counting !== this.#counting) return this.#counting;
      this.#matching = found;
      return this.#drawCount();
    });
    this.#counting = counting;
    return counting;
  }

  async #count() {
    const choice = { vehicle_filter: given(this.#chooser.filter()) };
    try {
      const found = await previewBatch(choice);
      const request = { ...choice, vehicle_set: found.vehicle_set };
      return { request, count: found.vehicle_count, disconnected: found.disconnected_count };
    } catch (error) {
      return { error: [error.fields?.vehicle_filter ?? error.detail].flat().join(" ") };
    }
  }

  #part(id) {
    return this.#root.querySelector(`#${id}`);
  }

  #isFilter() {
    return this.#modes.value === "filter";
  }

  #setMode() {
    this.#root.dataset.mode = this.#modes.value;
    this.showError("");
    this.#drawCount();
    this.recount();
  }

  #drawChosen(vehicles, shownCount) {
    this.#part("choose-page-label").textContent = `Choose all ${shownCount} on this page`;
    const chips = vehicles.map((vehicle) => [vehicle.vehicle_id, this.#chip(vehicle)]);
    this.#chips = new Map(chips);
    reconcile(this.#part("chosen"), [...this.#chips.values()]);
    this.#part("choose-none").hidden = vehicles.length === 0;
    this.#drawCount();
  }

  #chip({ vehicle_id: id, vin }) {
    const label = { class: "chip-remove", "aria-label": `Remove ${vin}` };
    const remove = () => button("×", () => this.#remove(id), label);
    return this.#chips.get(id) ?? element("li", {}, element("span", { class: "vin" }, vin), remove());
  }

  /** The focus moves to the next button, so that several vehicles can be removed by keyboard. */
  #remove(id) {
    const chip = this.#chips.get(id);
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    this.#chooser.choose([id], false);
    if (next) next.querySelector("button").focus();
    else this.focus();
  }

  #drawCount() {
    this.#part("choice-count").textContent = this.#isFilter() ? this.#matchingText() : this.#chosenText();
  }

  #chosenText() {
    const count = this.#chips.size;
    return count ? `${counted(count, "vehicle")} chosen` : "No vehicle is chosen.";
  }

  #matchingText() {
    if (!this.#matching) return "Counting…";
    const { error, count, disconnected } = this.#matching;
    if (error) return error;
    const rest = disconnected ? `, ${disconnected} of them not connected` : "";
    return `${counted(count, "vehicle")} match${count === 1 ? "es" : ""} now${rest}`;
  }

  #problem() {
    const { count, error } = this.#isFilter() ? this.#matching : { count: this.#chips.size };
    if (error) return error;
    if (!count) return "Choose at least one vehicle.";
    return count > this.#max ? `A batch has at most ${counted(this.#max, "vehicle")}. Choose fewer.` : "";
  }
}

const given = (filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
