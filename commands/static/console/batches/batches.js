// The list of batches.

import { listBatches, listCommandTypes } from "../api.js";
import { batchAddress, parameters } from "../command.js";
import { byId, element, update } from "../dom.js";
import { FilterForm } from "../filters.js";
import { time, whole } from "../format.js";
import { PagedList } from "../paged_list.js";
import { countsBar, countsText, stateBadge } from "./counts.js";

const REFRESH_MS = 5_000;

const form = byId("batch-filters");
const list = new PagedList({
  root: byId("batches"),
  key: ({ batch_id: id }) => id,
  row: (batch, node = newRow()) => fillRow(node, batch),
  emptyText: () => (isFiltered() ? "No batch matches the filters." : ""),
  refreshMs: REFRESH_MS,
  onResults: (batches) => showAbout(batches.length === 0 && !isFiltered()),
});

const filters = new FilterForm(form, (query) => list.show(() => listBatches(query)));
const isFiltered = () => filters.query().size > 0;

function showAbout(isEmpty) {
  byId("about-batches").hidden = !isEmpty;
  byId("batches").querySelector("table").hidden = isEmpty;
}

function fillRow(node, batch) {
  const [when, command, count, results, state, submitter] = node.children;
  when.replaceChildren(time(batch.submitted_at));
  if (!command.hasChildNodes()) update(command, link(batch), " ", about(batch));
  count.textContent = whole(batch.vehicle_count);
  results.querySelector(".counts-text").textContent = countsText(batch);
  countsBar(batch, results.querySelector(".counts-bar"));
  state.replaceChildren(stateBadge(batch));
  submitter.textContent = batch.submitted_by;
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

const about = ({ name, command_params: params }) => [
  name && element("strong", { class: "vehicle-text" }, name),
  ...parameters(params),
];

const link = ({ batch_id: id, command_name: name }) => element("a", { href: batchAddress(id) }, name);

/** Offer the names to filter by. The one of the query is there already. */
function offerCommands({ results }) {
  const select = form.elements.command_name;
  const known = new Set([...select.options].map(({ value }) => value));
  select.append(...results.filter(({ name }) => !known.has(name)).map(({ name }) => new Option(name)));
}

listCommandTypes().then(offerCommands, () => {}); // the list itself tells when the server cannot be reached
