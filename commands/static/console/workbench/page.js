// Wires the page: what is chosen, submitted and watched, and the address that says so.

import { listCommandTypes, newKey, submitCommand } from "../api.js";
import { createComposer } from "./composer.js";
import { time } from "../dom.js";
import { createHistory } from "./recent.js";
import { createLive } from "./live.js";
import { createVehiclePicker } from "./picker.js";
import { viewer } from "../site.js";

const byId = (id) => document.getElementById(id);
const { username, canSubmit } = viewer;

const live = createLive({ root: byId("live"), username, canCancel: canSubmit, onMove: moved });
const history = createHistory({
  root: byId("history"),
  username,
  filters: canSubmit ? { submitted_by: username } : {},
  onOpen: (id) => navigate(id),
});
const picker = createVehiclePicker({
  root: byId("vehicles"),
  onChoose: showVehicleNote,
  onRefresh: live.refreshVehicles,
});
const composer = createComposer({ form: byId("composer"), picker, submit, onSubmitted: submitted });

async function submit(request) {
  try {
    return await submitCommand(request, newKey());
  } catch (error) {
    if (error.uncertain) {
      error.detail +=
        " The command may have been accepted all the same: look at your recent commands before you submit it again.";
      history.refresh();
    }
    throw error;
  }
}

function submitted(command) {
  history.add(command);
  navigate(command.command_id, command);
  history.refresh();
}

function moved(command) {
  history.update(command);
  if (command.completed_at) history.refresh();
}

function navigate(id, command = null) {
  if (id !== live.shownId()) window.history.pushState(null, "", `/commands/${encodeURIComponent(id)}/`);
  show(id, command);
  bringIntoView(byId("live"));
}

function show(id, command = null) {
  history.select(id);
  if (id) live.open(id, command);
  else live.close();
}

const addressed = () => location.pathname.match(/^\/commands\/([0-9a-f-]{36})\/$/)?.[1] ?? null;
const showAddressed = () => show(addressed());

function bringIntoView(panel) {
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top > innerHeight * 0.6) panel.scrollIntoView();
}

function showVehicleNote(vehicle) {
  const note = byId("vehicle-note");
  note.hidden = vehicle.connection_status === "connected";
  const lastSeen = vehicle.last_seen_at ? [" Last seen ", time(vehicle.last_seen_at), "."] : [];
  note.replaceChildren("Not connected: commands wait until it is back or expire.", ...lastSeen);
}

window.addEventListener("popstate", showAddressed);

listCommandTypes().then(
  ({ results }) => composer.setTypes(results),
  (error) => composer.showErrors([error.detail ?? "The commands could not be shown."]),
);
showAddressed();
history.refresh();
