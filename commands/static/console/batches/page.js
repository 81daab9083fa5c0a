// The list of fleet commands.

import { listBatches, listCommandTypes } from "../api.js";
import { element, parameters, time } from "../dom.js";
import { createFilters } from "../filters.js";
import { createPages } from "../pages.js";
import { countsBar, countsText, stateBadge } from "./counts.js";

const REFRESH_MS = 5_000;

const byId = (id) => document.getElementById(id);
const list = byId("batches");
const form = byId("batch-filters");

const pages = createPages({
  root: list,
  key: (batch) => batch.batch_id,
  row,
  empty: () => (isFiltered() ? "No fleet command matches the filters." : ""),
  refreshMs: REFRESH_MS,
  onResults: (batches) => showAbout(batches.length === 0 && !isFiltered()),
});

const isFiltered = () => [...new FormData(form).values()].some((value) => value.trim());

function showAbout(isEmpty) {
  byId("about-batches").hidden = !isEmpty;
  list.querySelector("table").hidden = isEmpty;
}

function row(batch, node = newRow()) {
  const [when, command, count, results, state, who] = node.children;
  when.replaceChildren(time(batch.submitted_at));
  if (!command.hasChildNodes()) command.append(nameOf(batch), " ", ...parameters(batch.command_params));
  count.textContent = batch.vehicle_count.toLocaleString("en");
  results.querySelector(".counts-text").textContent = countsText(batch);
  countsBar(batch, results.querySelector(".counts-bar"));
  state.replaceChildren(stateBadge(batch));
  who.textContent = batch.submitted_by;
  return node;
}

function newRow() {
  const bar = element("div", { class: "counts-bar", "aria-hidden": "true" });
  return element(
    "tr",
    {},
    element("td", { class: "nowrap muted" }),
    element("td", { class: "batch-command" }),
    element("td", { class: "number", "data-label": "Vehicles" }),
    element("td", { class: "batch-counts" }, bar, element("span", { class: "counts-text" })),
    element("td", { class: "nowrap" }),
    element("td", { "data-label": "By" }),
  );
}

function nameOf({ batch_id: id, command_name: name }) {
  return element("a", { href: `/batches/${encodeURIComponent(id)}/` }, name);
}

/** The names to choose from; the one in the address is there also before they have come. */
function offerCommands({ results }) {
  const select = form.elements.command_name;
  const known = new Set([...select.options].map(({ value }) => value));
  select.append(...results.filter(({ name }) => !known.has(name)).map(({ name }) => new Option(name)));
}

const asked = new URLSearchParams(location.search).get("command_name");
if (asked) form.elements.command_name.append(new Option(asked));
listCommandTypes().then(offerCommands, () => {}); // The list itself says when the server cannot be reached.
createFilters(form, (query) => pages.show(() => listBatches(query)));
