// Wires the page: what is chosen, submitted and watched, and the address that says so.

import { listCommandTypes, submitCommand } from "./api.js";
import { createComposer } from "./composer.js";
import { arrange, element, time } from "./dom.js";
import { createHistory } from "./history.js";
import { createLive } from "./live.js";
import { createVehiclePicker } from "./vehicles.js";

const byId = (id) => document.getElementById(id);
const { username, canSubmit } = byId("console").dataset;
const maySubmit = canSubmit === "true";

const live = createLive({ root: byId("live"), canCancel: maySubmit, onMove: moved });
const history = createHistory({
  root: byId("history"),
  filters: maySubmit ? { submitted_by: username } : {},
  onOpen: (id) => navigate(id),
});
const picker = createVehiclePicker({ root: byId("vehicles"), onChoose: showVehicleNote });
const composer = createComposer({ form: byId("composer"), picker, onSubmit: submit });

async function submit(request) {
  const command = await submitCommand(request);
  history.add(command);
  navigate(command.command_id, command);
  history.refresh();
}

function moved(command) {
  history.update(command);
  if (command.completed_at) history.refresh();
}

function navigate(id, command = null) {
  if (id !== live.shownId()) window.history.pushState(null, "", `?command=${encodeURIComponent(id)}`);
  show(id, command);
  bringIntoView(byId("live"));
}

function show(id, command = null) {
  history.select(id);
  if (id) live.open(id, command);
  else live.close();
}

const showAddressed = () => show(new URLSearchParams(location.search).get("command"));

function bringIntoView(panel) {
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top > innerHeight * 0.6) panel.scrollIntoView();
}

function showVehicleNote(vehicle) {
  live.refreshVehicle(vehicle);
  const waits = vehicle.connection_status !== "connected";
  arrange(byId("vehicle-note"), waits ? [element("p", { class: "caution" }, "Not connected: commands wait until it is back or expire.", ...lastSeen(vehicle))] : []);
}

function lastSeen({ last_seen_at: seenAt }) {
  return seenAt ? [" Last seen ", time(seenAt), "."] : [];
}

window.addEventListener("popstate", showAddressed);
window.addEventListener("signed-out", () => {
  byId("signed-out-link").href = `/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
  byId("signed-out").hidden = false;
});

listCommandTypes().then(
  ({ results }) => composer.setTypes(results),
  (error) => composer.showErrors([error.detail ?? "The commands could not be shown."]),
);
showAddressed();
history.refresh();
