// Wires the page: what is chosen, submitted and watched, and the address that says so.

import { ApiError, getCommand, listCommandTypes, submitCommand } from "../api.js";
import { createComposer } from "./composer.js";
import { time } from "../dom.js";
import { createRecent } from "./recent.js";
import { createLive } from "./live.js";
import { createVehiclePicker } from "./picker.js";
import { viewer } from "../site.js";
import { createSubmission } from "../submission.js";

const byId = (id) => document.getElementById(id);

const live = createLive({ root: byId("live"), onMove: moved });
const recent = createRecent({ root: byId("history"), onOpen: (id) => navigate(id) });

function compose() {
  const picker = createVehiclePicker({ root: byId("vehicles"), onChoose: showVehicleNote });
  const composer = createComposer({
    form: byId("composer"),
    picker,
    confirm,
    submit: createSubmission(submitCommand),
    onSubmitted: submitted,
  });
  prefill(picker, composer);
}

let asking = null;

/** Most people never need it: its modules are fetched for the first command that is to be confirmed. */
async function confirm(question) {
  asking ??= import("./confirm.js").then(({ createConfirm }) =>
    createConfirm({ dialog: byId("confirm"), onRead: recent.add }),
  );
  try {
    return (await asking)(question);
  } catch {
    asking = null;
    const detail = "The server cannot be reached, so nothing was sent. Check your connection.";
    throw new ApiError({ code: "unreachable", detail });
  }
}

async function prefill(picker, composer) {
  const asked = new URLSearchParams(location.search);
  if (asked.get("vehicle")) picker.choose(asked.get("vehicle"));
  try {
    composer.setTypes((await listCommandTypes()).results);
    if (!asked.get("repeat")) return;
    const command = await getCommand(asked.get("repeat"));
    await picker.choose(command.vehicle_id);
    composer.fillFrom(command);
  } catch (error) {
    const isGone = error.status === 404;
    composer.showErrors([isGone ? "The command to repeat does not exist, or you may not see it." : error.detail]);
  }
}

function submitted(command) {
  recent.add(command);
  navigate(command.command_id, command);
  recent.refresh();
}

function moved(command) {
  recent.update(command);
  if (command.completed_at) recent.refresh();
}

function navigate(id, command = null) {
  if (id !== live.shownId()) window.history.pushState(null, "", `/commands/${encodeURIComponent(id)}/`);
  show(id, command);
  bringIntoView(byId("live"));
}

function show(id, command = null) {
  recent.select(id);
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
showAddressed();
if (viewer.canSubmit) compose();
