// The list of vehicles: found, watched, and chosen to send something to.

import { listVehicles } from "../api.js";
import { createChoice } from "../choice.js";
import { element, renew, time } from "../dom.js";
import { createFilters } from "../filters.js";
import { createPages } from "../pages.js";
import { viewer } from "../site.js";
import { connectionBadge, modelName, vehicleLink } from "../vehicle.js";

const REFRESH_MS = 3000;
const MOST_IN_ADDRESS = 50;

const byId = (id) => document.getElementById(id);

const choice = createChoice({ rows: byId("vehicles"), all: byId("choose-all"), onChange: showChosen });
const pages = createPages({
  root: byId("vehicles"),
  key: ({ vehicle_id: id }) => id,
  row,
  empty: () => (filters.query().size ? "No vehicle matches the filter." : "There are no vehicles yet. They are added in the admin."),
  refreshMs: REFRESH_MS,
  onResults: choice.update,
});
const filters = createFilters(byId("filters"), find);

function find(query) {
  pages.show(() => listVehicles(query));
  if (viewer.canSubmit) byId("to-all").href = `/batches/new/${query.size ? `?${query}` : ""}`;
}

// --- One vehicle

function row(vehicle, node = newRow(vehicle)) {
  const [model, connection, seen, waiting] = node.querySelectorAll("[data-live]");
  renew(model, modelName(vehicle));
  renew(connection, connectionBadge(vehicle));
  renew(seen, vehicle.last_seen_at ? time(vehicle.last_seen_at) : "never");
  renew(waiting, waitingWords(vehicle));
  return node;
}

function newRow(vehicle) {
  return element(
    "tr",
    {},
    viewer.canSubmit && element("td", { class: "choose" }, choice.box(vehicle.vehicle_id, `Choose ${vehicle.vin}`)),
    element("td", { class: "name" }, vehicleLink(vehicle)),
    live("", "model"),
    live("", "connection"),
    live("Last seen", "seen nowrap"),
    live("Waiting", "number waiting"),
    viewer.canSubmit && element("td", { class: "act" }, newCommandLink(vehicle)),
  );
}

const live = (label, names) => element("td", { "data-label": label || null, class: names, "data-live": true });

function waitingWords({ vehicle_id: id, commands_waiting: count }) {
  if (!count) return element("span", { class: "muted" }, "0");
  const words = count === 1 ? "1 command waits" : `${count} commands wait`;
  return element("a", { href: `/commands/?vehicle_id=${id}&status=pending`, "aria-label": words }, String(count));
}

function newCommandLink({ vehicle_id: id, vin }) {
  const label = `New command for ${vin}`;
  return element("a", { class: "button", href: `/commands/new/?vehicle=${id}`, "aria-label": label }, "New command");
}

// --- Those that are chosen, also on other pages and by other searches

function showChosen(ids) {
  const tooMany = ids.length > MOST_IN_ADDRESS;
  byId("chosen").textContent = tooMany
    ? `${ids.length} chosen. At most ${MOST_IN_ADDRESS}: for more, send to all that match a filter.`
    : `${ids.length} chosen`;
  byId("to-chosen").textContent = ids.length ? `Command to the chosen (${ids.length})` : "Command to the chosen";
  byId("to-chosen").disabled = tooMany || !ids.length;
  byId("clear-choice").hidden = !ids.length;
}

function commandToChosen() {
  const vehicles = choice.ids().map((id) => ["vehicle", id]);
  location.assign(`/batches/new/?${new URLSearchParams(vehicles)}`);
}

function chooseNone() {
  choice.clear();
  byId("choose-all").focus();
}

byId("to-chosen")?.addEventListener("click", commandToChosen);
byId("clear-choice")?.addEventListener("click", chooseNone);
