// Which vehicles: chosen one by one from the list, or all that match its filter.

import { listVehicles } from "../api.js";
import { arrange, button, element } from "../dom.js";
import { createPages } from "../pages.js";
import { connectionBadge, findVehicle, modelName } from "../vehicle.js";
import { vehicles as inWords } from "./counts.js";
import { countMatching } from "./matching.js";

const REFRESH_MS = 15_000;
const SEARCH_PAUSE_MS = 250;
const ASKED_AT_ONCE = 6;

/** `form` has the filter's fields and the choice of the mode. */
export function createVehicleChoice({ root, form }) {
  const part = (id) => root.querySelector(`#${id}`);
  const most = Number(root.dataset.most);
  const chosen = new Map(); // vehicles by id, in the order in which they were chosen
  const chips = new Map();
  let matching = null; // {count, disconnected} of the filter, null while they are counted
  let counting = null; // resolves when `matching` is of the filter as it was set last

  const pages = createPages({
    root: part("choice-list"),
    key: (vehicle) => vehicle.vehicle_id,
    row,
    empty: () => (filter().search || filter().connection_status ? "No vehicle matches." : "There are no vehicles yet."),
    refreshMs: REFRESH_MS,
    onResults: noteVehicles,
  });

  const isFilter = () => form.elements.mode.value === "filter";
  const filter = () => ({
    search: form.elements.search.value.trim(),
    connection_status: form.elements.connection_status.value,
  });

  // --- The list

  function row(vehicle, node = newRow(vehicle)) {
    node.querySelector("input").checked = chosen.has(vehicle.vehicle_id);
    node.lastElementChild.replaceChildren(connectionBadge(vehicle));
    return node;
  }

  function newRow(vehicle) {
    const id = `choose-${vehicle.vehicle_id}`;
    const box = element("input", { type: "checkbox", id });
    const node = element(
      "tr",
      {},
      element("td", { class: "choose" }, box),
      element("td", {}, element("label", { for: id, class: "vin" }, vehicle.vin)),
      element("td", {}, modelName(vehicle)),
      element("td", {}),
    );
    box.addEventListener("change", () => choose([vehicle], box.checked));
    node.addEventListener("click", ({ target }) => !isFilter() && !target.closest("input, label") && box.click());
    return node;
  }

  function noteVehicles(results) {
    for (const vehicle of results) if (chosen.has(vehicle.vehicle_id)) chosen.set(vehicle.vehicle_id, vehicle);
    drawChosen();
  }

  // --- The chosen ones

  function choose(vehicles, isChosen) {
    for (const vehicle of vehicles) {
      if (isChosen) chosen.set(vehicle.vehicle_id, vehicle);
      else chosen.delete(vehicle.vehicle_id);
    }
    for (const vehicle of pages.results()) setChecked(vehicle);
    complain("");
    drawChosen();
  }

  function setChecked({ vehicle_id: id }) {
    const box = document.getElementById(`choose-${id}`);
    if (box) box.checked = chosen.has(id);
  }

  function drawChosen() {
    const list = part("chosen");
    for (const id of chips.keys()) if (!chosen.has(id)) chips.delete(id);
    arrange(list, [...chosen.values()].map(chip));
    part("choose-none").hidden = chosen.size === 0;
    const here = pages.results();
    const count = here.filter(({ vehicle_id: id }) => chosen.has(id)).length;
    part("choose-page").checked = here.length > 0 && count === here.length;
    part("choose-page").indeterminate = count > 0 && count < here.length;
    drawCount();
  }

  function chip(vehicle) {
    const id = vehicle.vehicle_id;
    if (!chips.has(id)) {
      const label = { class: "chip-remove", "aria-label": `Remove ${vehicle.vin}` };
      const remove = button("×", () => takeOut(vehicle), label);
      chips.set(id, element("li", {}, element("span", { class: "vin" }, vehicle.vin), remove));
    }
    return chips.get(id);
  }

  /** The focus goes to the next one's button, so that several can be removed by keyboard. */
  function takeOut(vehicle) {
    const node = chips.get(vehicle.vehicle_id);
    const near = node.nextElementSibling ?? node.previousElementSibling;
    choose([vehicle], false);
    (near?.querySelector("button") ?? form.elements.search).focus();
  }

  function drawCount() {
    part("choice-count").textContent = isFilter() ? matchingWords() : chosenWords();
  }

  const chosenWords = () => (chosen.size ? `${inWords(chosen.size)} chosen` : "No vehicle is chosen.");

  function matchingWords() {
    if (!matching) return "Counting…";
    if (matching.error) return matching.error;
    if (matching.count > most) return `More than ${inWords(most)} match: narrow it down.`;
    const away = matching.disconnected ? `, ${matching.disconnected} of them not connected` : "";
    return `${inWords(matching.count)} match${matching.count === 1 ? "es" : ""} now${away}`;
  }

  // --- All that match

  function count() {
    matching = null;
    drawCount();
    const question = countMatching(filter(), most)
      .catch((error) => ({ error: error.detail }))
      .then((found) => (question === counting ? note(found) : counting));
    return (counting = question);
  }

  function note(found) {
    matching = found;
    drawCount();
  }

  function show() {
    complain("");
    pages.show(() => listVehicles(filter()));
    if (isFilter()) count();
  }

  function setMode() {
    root.dataset.mode = form.elements.mode.value;
    complain("");
    drawCount();
    if (isFilter()) count();
  }

  function complain(text) {
    const complaint = root.querySelector("[data-complaint]");
    complaint.textContent = text;
    complaint.hidden = !text;
  }

  function problem() {
    const size = isFilter() ? matching?.count : chosen.size;
    if (isFilter() && matching?.error) return matching.error;
    if (!size) return isFilter() ? "No vehicle matches the filter." : "Choose at least one vehicle.";
    return size > most ? `At most ${inWords(most)} at once.` : "";
  }

  /** What is sent, and what a person should know of it; null if something is wrong, which it then says. */
  async function read() {
    if (isFilter()) await count();
    complain(problem());
    if (problem()) return null;
    if (isFilter()) return { request: { vehicle_filter: given(filter()) }, ...matching };
    const vehicles = [...chosen.values()];
    return { request: { vehicle_ids: [...chosen.keys()] }, count: vehicles.length, disconnected: away(vehicles) };
  }

  /** Those that a link names. */
  async function addByIds(ids) {
    const found = await askForEach(ids, findVehicle);
    choose(found.filter(Boolean), true);
    const missing = found.filter((vehicle) => !vehicle).length;
    if (missing) complain(`${inWords(missing)} of the link could not be found.`);
  }

  let pause;
  form.elements.search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(show, SEARCH_PAUSE_MS);
  });
  form.elements.search.addEventListener("keydown", (event) => {
    // It searches as one types: Enter here must not send anything.
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) event.preventDefault();
  });
  form.elements.connection_status.addEventListener("change", show);
  for (const mode of form.elements.mode) mode.addEventListener("change", setMode);
  part("choose-page").addEventListener("change", ({ target }) => choose(pages.results(), target.checked));
  part("choose-none").addEventListener("click", () => {
    choose([...chosen.values()], false);
    part("choose-page").focus(); // The button that had it is gone.
  });
  setMode();
  show();

  return { read, addByIds, complain, recount: () => isFilter() && count(), focus: () => form.elements.search.focus() };
}

/** What each is answered with, in their order; not all are asked for at once. */
async function askForEach(items, ask) {
  const answers = [];
  const rest = items.entries();
  const askOn = async () => {
    for (const [index, item] of rest) answers[index] = await ask(item);
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, askOn));
  return answers;
}

const away = (vehicles) => vehicles.filter(({ connection_status: status }) => status !== "connected").length;

const given = (filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
