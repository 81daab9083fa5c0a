// The list to choose a vehicle from.

import { getPage, getVehicle, listVehicles } from "../api.js";
import { arrange, element } from "../dom.js";
import { poll } from "../poll.js";
import { connectionBadge, knownVehicle, modelName, remember } from "../vehicle.js";

const PAGE_SIZE = 25;
const SEARCH_PAUSE_MS = 250;
const REFRESH_MS = 15_000;

/** onChoose gets the chosen vehicle, also when it has changed. `root` holds the search field and the list. */
export function createVehiclePicker({ root, onChoose }) {
  const search = root.querySelector("[data-search]");
  const list = root.querySelector("[data-list]");
  const message = root.querySelector("[data-message]");
  const more = root.querySelector("[data-more]");
  const chosen = root.querySelector("[data-chosen]");
  const complaint = root.querySelector("[data-complaint]");
  const rows = new Map();
  let shown = [];
  let next = null;
  let chosenId = null;
  let isByHand = false; // it was chosen in the list
  let asked = 0;
  let extended = false;

  async function load(fetchPage, { append = false, quiet = false } = {}) {
    const question = (asked += 1);
    try {
      const page = await fetchPage();
      if (question === asked) render(page, append);
      return true;
    } catch (error) {
      if (question === asked && !quiet) say(error.detail ?? "The vehicles could not be shown.", true);
      return false;
    }
  }

  function render(page, append) {
    remember(page.results);
    next = page.next;
    shown = append ? [...shown, ...page.results] : page.results;
    more.hidden = !next;
    if (shown.length === 0) say(search.value ? "No vehicle matches the search." : "There are no vehicles yet.");
    else say("");
    draw();
    if (chosenId) onChoose(knownVehicle(chosenId));
  }

  function draw() {
    arrange(list, [...chosenElsewhere(), ...shown].map(row));
    for (const input of list.querySelectorAll("input")) input.checked = input.value === chosenId;
  }

  /** The chosen vehicle stands first where the pages that are shown do not have it; a search is for others. */
  function chosenElsewhere() {
    const isHere = !chosenId || search.value || shown.some(({ vehicle_id: id }) => id === chosenId);
    return isHere ? [] : [knownVehicle(chosenId)];
  }

  function row(vehicle) {
    const id = vehicle.vehicle_id;
    if (!rows.has(id)) rows.set(id, newRow(vehicle));
    const item = rows.get(id);
    item.querySelector("[data-connection]").replaceChildren(connectionBadge(vehicle));
    return item;
  }

  function newRow(vehicle) {
    const input = element("input", { type: "radio", name: "vehicle_id", value: vehicle.vehicle_id, required: true });
    input.addEventListener("change", () => chooseHere(vehicle.vehicle_id));
    const names = element(
      "span",
      { class: "vehicle-names" },
      element("span", { class: "vin" }, vehicle.vin),
      element("span", { class: "muted" }, modelName(vehicle)),
    );
    return element("li", {}, element("label", {}, input, names, element("span", { "data-connection": true })));
  }

  function choose(id) {
    chosenId = id;
    chosen.textContent = knownVehicle(id).vin; // Its row may be scrolled or searched away.
    complain("");
    onChoose(knownVehicle(id));
  }

  function chooseHere(id) {
    isByHand = true;
    choose(id);
    rows.get(id).scrollIntoView({ block: "nearest" }); // The note about it may have made the list shorter.
  }

  /** One that a link names; what a person has chosen meanwhile stays. */
  async function chooseById(id) {
    try {
      remember([await getVehicle(id)]);
    } catch (error) {
      if (!isByHand) complain(error.permanent ? "There is no such vehicle: choose another." : error.detail);
      return;
    }
    if (isByHand) return;
    choose(id);
    draw();
  }

  function say(text, isError = false) {
    message.textContent = text;
    message.hidden = !text;
    message.classList.toggle("error", isError);
  }

  function complain(text) {
    complaint.textContent = text;
    complaint.hidden = !text;
  }

  const searched = () => listVehicles({ search: search.value.trim(), page_size: PAGE_SIZE });
  // Beyond the first page a refresh would throw the operator back to its beginning.
  const refresh = () => extended || load(searched, { quiet: shown.length > 0 });

  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    extended = false;
    pause = setTimeout(() => load(searched), SEARCH_PAUSE_MS);
  });
  search.addEventListener("keydown", (event) => {
    // It searches as one types: Enter here must not submit a command.
    if (event.key === "Enter") event.preventDefault();
  });
  more.addEventListener("click", () => {
    extended = true;
    load(() => getPage(next), { append: true });
  });
  poll(refresh, REFRESH_MS);

  return {
    chosen: () => knownVehicle(chosenId),
    choose: chooseById,
    complain,
    focus: () => (list.querySelector("input:checked, input") ?? search).focus(),
  };
}
