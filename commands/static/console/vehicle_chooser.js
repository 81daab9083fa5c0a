// A list of vehicles with a search, to choose one or several from.

import { listVehicles } from "./api.js";
import { element, showMessage } from "./dom.js";
import { connectionBadge, findVehicle, knownVehicle, modelName, remember } from "./known_vehicles.js";
import { PagedList } from "./paged_list.js";
import { RowSelection } from "./row_selection.js";

const PAGE_SIZE = 25;
const REFRESH_MS = 15_000;
const TYPING_PAUSE_MS = 250;
const MAX_REQUESTS = 6; // at once

export class VehicleChooser {
  #root;
  #search;
  #connection;
  #tag;
  #isMultiple;
  #onFilter;
  #selection;
  #list;
  #typing = null; // until the list is asked for what was typed
  #showing = null; // until the list has it

  /**
   * root      holds [data-search], [data-list] and [data-error], and may hold [data-connection],
   *           [data-tag] and [data-select-all]
   * onChange  called with the chosen vehicles whenever these or their state may have changed, and the number of rows
   * onFilter  called when the filter has changed
   */
  constructor({ root, isMultiple = false, onChange, onFilter = () => {} }) {
    this.#root = root;
    this.#search = root.querySelector("[data-search]");
    this.#connection = root.querySelector("[data-connection]");
    this.#tag = root.querySelector("[data-tag]");
    this.#isMultiple = isMultiple;
    this.#onFilter = onFilter;
    this.#selection = new RowSelection({
      rows: root.querySelector("[data-rows]"),
      type: isMultiple ? "checkbox" : "radio",
      selectAll: root.querySelector("[data-select-all]"),
      onChange: (_, shownCount) => onChange(this.chosen(), shownCount),
    });
    this.#list = new PagedList({
      root: root.querySelector("[data-list]"),
      key: ({ vehicle_id: id }) => id,
      row: (vehicle, node = this.#newRow(vehicle)) => fillRow(node, vehicle),
      emptyText: () => (this.#isFiltered() ? "No vehicle matches." : "There are no vehicles yet."),
      refreshMs: REFRESH_MS,
      pinned: (vehicles) => this.#chosenElsewhere(vehicles),
      onResults: (vehicles) => {
        remember(vehicles);
        this.#selection.update();
      },
    });
    this.#listen();
    this.show();
  }

  /** The chosen vehicles as last loaded, in the order of choosing. */
  chosen() {
    return this.#selection.ids().map(knownVehicle);
  }

  filter() {
    return {
      search: this.#search.value.trim(),
      connection_status: this.#connection?.value,
      tag: this.#tag?.value.trim(),
    };
  }

  choose(ids, isChosen = true) {
    this.showError("");
    this.#selection.select(ids, isChosen);
    if (!this.#isMultiple) this.#list.draw();
  }

  clear() {
    this.#selection.clear();
  }

  /** Choose the vehicles that a link names. A vehicle that the user has chosen meanwhile stays. */
  async chooseFromLink(ids) {
    const found = await loadAll(ids);
    const missing = found.filter((vehicle) => !vehicle).length;
    if (!this.#isMultiple && this.chosen().length) return;
    this.choose(found.filter(Boolean).map(({ vehicle_id: id }) => id));
    if (missing)
      this.showError(`${missing} of ${ids.length} in the link could not be loaded. Reload the page, or choose here.`);
  }

  showError(text) {
    showMessage(this.#root.querySelector("[data-error]"), text);
  }

  focus() {
    (this.#root.querySelector("[data-rows] input:checked, [data-rows] input") ?? this.#search).focus();
  }

  focusSearch() {
    this.#search.focus();
  }

  async show() {
    const showing = this.#list.show(() => listVehicles({ ...this.filter(), page_size: PAGE_SIZE }));
    this.#showing = showing;
    await showing;
    if (this.#showing === showing) this.#showing = null;
  }

  /** Resolve when the list has what was typed. */
  async #caughtUp() {
    if (this.#typing) this.#filtered();
    while (this.#showing) await this.#showing;
  }

  /** Whoever types and goes on at once must not choose from the vehicles of an earlier search. */
  async #leaveSearch(event) {
    event.preventDefault();
    this.#search.readOnly = true; // further keys are not meant for it
    await this.#caughtUp();
    this.#search.readOnly = false;
    if (document.activeElement === this.#search) (this.#connection ?? this).focus();
  }

  /** The vehicle of a single choice stands first where the page does not have it. A search is for other vehicles. */
  #chosenElsewhere(vehicles) {
    const shown = new Set(vehicles.map(({ vehicle_id: id }) => id));
    return this.#isMultiple || this.#isFiltered() ? [] : this.chosen().filter(({ vehicle_id: id }) => !shown.has(id));
  }

  #isFiltered() {
    return Object.values(this.filter()).some(Boolean);
  }

  #newRow({ vehicle_id: id, vin, ...about }) {
    const input = this.#selection.input(id, { name: "vehicle_id" });
    const model = element("span", { class: "muted" }, modelName(about));
    const names = element("span", { class: "vehicle-names" }, element("span", { class: "vin" }, vin), model);
    return element("li", {}, element("label", {}, input, names, element("span", { "data-live": true })));
  }

  #listen() {
    for (const input of [this.#search, this.#tag]) if (input) this.#follow(input);
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Tab" && !event.shiftKey && (this.#typing || this.#showing)) this.#leaveSearch(event);
    });
    this.#connection?.addEventListener("change", () => this.#filtered());
    this.#root.querySelector("[data-rows]").addEventListener("change", ({ target }) => {
      this.showError("");
      target.closest("li").scrollIntoView({ block: "nearest" }); // a note about the vehicle may have moved it
    });
  }

  #follow(input) {
    input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#filtered(), TYPING_PAUSE_MS);
    });
    // The list follows the typing, so Enter has nothing to do; it must not submit the form.
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.preventDefault();
    });
  }

  #filtered() {
    clearTimeout(this.#typing);
    this.#typing = null;
    this.showError("");
    this.#onFilter();
    this.show();
  }
}

function fillRow(node, vehicle) {
  node.querySelector("[data-live]").replaceChildren(connectionBadge(vehicle));
  return node;
}

/** Each vehicle, or null, in the order of the ids. */
async function loadAll(ids) {
  const found = [];
  const rest = ids.entries();
  const loadNext = async () => {
    for (const [index, id] of rest) found[index] = await findVehicle(id);
  };
  await Promise.all(Array.from({ length: MAX_REQUESTS }, loadNext));
  return found;
}
