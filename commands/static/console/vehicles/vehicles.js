// The list of vehicles: searched, watched, and selected to send a command to.

import { listVehicles } from "../api.js";
import { byId, element, update } from "../dom.js";
import { FilterForm } from "../filters.js";
import { time } from "../format.js";
import { connectionBadge, modelName, vehicleLink } from "../known_vehicles.js";
import { PagedList } from "../paged_list.js";
import { RowSelection } from "../row_selection.js";
import { SavedViews } from "../saved_views.js";
import { viewer } from "../site.js";
import { TagDialog } from "./tag_dialog.js";
import { tagList } from "./tags.js";

const REFRESH_MS = 3000;
const MAX_IN_ADDRESS = 50;

const selection = byId("choose-all")
  ? new RowSelection({ rows: byId("vehicles"), selectAll: byId("choose-all"), onChange: showSelection })
  : null;
const list = new PagedList({
  root: byId("vehicles"),
  key: ({ vehicle_id: id }) => id,
  row: (vehicle, node = newRow(vehicle)) => fillRow(node, vehicle),
  emptyText: () => (filters.query().size ? "No vehicle matches the filter." : "There are no vehicles yet."),
  refreshMs: REFRESH_MS,
  onResults: () => selection?.update(),
});
const tagging = new TagDialog({ filter: () => filters.query(), onChanged: () => list.refresh() });
const filters = new FilterForm(byId("filters"), find);

function find(query) {
  list.show(() => listVehicles(query));
  if (viewer.canSubmit) byId("to-all").href = `/batches/new/${query.size ? `?${query}` : ""}`;
}

// --- One vehicle

function fillRow(node, vehicle) {
  const [model, connection, seen, waiting] = node.querySelectorAll("[data-live]");
  update(model, modelName(vehicle), tagList(vehicle.tags));
  update(connection, connectionBadge(vehicle));
  update(seen, vehicle.last_seen_at ? time(vehicle.last_seen_at) : "never");
  update(waiting, waitingCount(vehicle));
  return node;
}

function newRow(vehicle) {
  const { vehicle_id: id, vin } = vehicle;
  return element(
    "tr",
    {},
    selection && element("td", { class: "choose" }, selection.input(id, { "aria-label": `Choose ${vin}` })),
    element("td", { class: "name" }, vehicleLink(vehicle)),
    liveCell("", "model"),
    liveCell("", "connection"),
    liveCell("Last seen", "seen nowrap"),
    liveCell("Waiting", "number waiting"),
    viewer.canSubmit && element("td", { class: "act" }, newCommandLink(vehicle)),
  );
}

const liveCell = (label, names) => element("td", { "data-label": label || null, class: names, "data-live": true });

function waitingCount({ vehicle_id: id, commands_waiting: count }) {
  if (!count) return element("span", { class: "muted" }, "0");
  const label = count === 1 ? "1 command waits" : `${count} commands wait`;
  return element("a", { href: `/commands/?vehicle_id=${id}&status=pending`, "aria-label": label }, String(count));
}

function newCommandLink({ vehicle_id: id, vin }) {
  const label = `New command for ${vin}`;
  return element("a", { class: "button", href: `/commands/new/?vehicle=${id}`, "aria-label": label }, "New command");
}

// --- The selection; it stays while other pages and searches are shown

function showSelection(ids, shownCount) {
  byId("choose-all-label").textContent = `Choose all ${shownCount} on this page`;
  tagging.update(ids);
  byId("clear-choice").hidden = !ids.length;
  byId("chosen").textContent = `${ids.length} chosen`;
  if (viewer.canSubmit) offerCommand(ids);
}

function offerCommand(ids) {
  const isTooMany = ids.length > MAX_IN_ADDRESS;
  if (isTooMany)
    byId("chosen").textContent =
      `${ids.length} chosen. At most ${MAX_IN_ADDRESS} for a command: for more, send to all that match a filter.`;
  byId("to-chosen").textContent = ids.length ? `Command to the chosen (${ids.length})` : "Command to the chosen";
  byId("to-chosen").disabled = isTooMany || !ids.length;
}

function sendToSelection() {
  const vehicles = selection.ids().map((id) => ["vehicle", id]);
  location.assign(`/batches/new/?${new URLSearchParams(vehicles)}`);
}

function clearSelection() {
  selection.clear();
  byId("choose-all").focus();
}

new SavedViews(() => filters.query());
byId("to-chosen")?.addEventListener("click", sendToSelection);
byId("clear-choice")?.addEventListener("click", clearSelection);
