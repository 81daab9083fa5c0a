// The page of a new or a watched command: the form, the command, and the list of recent ones.

import { ApiError, getCommand, listCommandTypes, Submission, submitCommand } from "../api.js";
import { commandAddress } from "../command.js";
import { byId, showMessage } from "../dom.js";
import { time } from "../format.js";
import { isConnected } from "../known_vehicles.js";
import { viewer } from "../site.js";
import { VehicleChooser } from "../vehicle_chooser.js";
import { Composer } from "./composer.js";
import { LiveCommand } from "./live_command.js";
import { RecentCommands } from "./recent_commands.js";

const live = new LiveCommand({ root: byId("live"), onMove: () => recent.refresh() });
const recent = new RecentCommands({
  root: byId("recent"),
  onOpen: navigate,
  onLoaded: (commands) => live.compare(commands),
});

function compose() {
  const chooser = new VehicleChooser({ root: byId("vehicles"), onChange: showVehicleNote });
  const submission = new Submission(submitCommand);
  const composer = new Composer({
    form: byId("composer"),
    chooser,
    confirm,
    submit: (request) => submission.submit(request),
    onSubmitted: (command) => {
      navigate(command.command_id, command);
      recent.refresh();
    },
  });
  composer.waitFor(prefill(chooser, composer));
}

let loadingConfirmation = null;

/** Most users never need the dialog, so its modules are loaded for the first command that is to be confirmed. */
async function confirm(question) {
  loadingConfirmation ??= import("../command_form/vin_confirmation.js").then(
    ({ VinConfirmation }) => new VinConfirmation({ dialog: byId("confirm"), onRead: () => recent.refresh() }),
  );
  try {
    return (await loadingConfirmation).ask(question);
  } catch {
    loadingConfirmation = null;
    const detail = "The server cannot be reached, so nothing was sent. Check your connection.";
    throw new ApiError({ code: "unreachable", detail });
  }
}

async function prefill(chooser, composer) {
  const query = new URLSearchParams(location.search);
  const linked = query.get("vehicle") && chooser.chooseFromLink([query.get("vehicle")]);
  try {
    composer.setTypes((await listCommandTypes()).results);
    if (query.get("command")) composer.fillFrom(linkedCommand(query));
    if (query.get("repeat")) await repeat(await getCommand(query.get("repeat")), linked, chooser, composer);
    await linked;
  } catch (error) {
    const isMissing = error.status === 404;
    composer.showErrors([isMissing ? "The command to repeat does not exist, or you may not see it." : error.detail]);
  }
}

/** Fill in the command, for the vehicle that the link names or for the same one. */
async function repeat(command, linked, chooser, composer) {
  await (linked || chooser.chooseFromLink([command.vehicle_id]));
  composer.fillFrom(command);
}

/** The command that a link names, with its parameters. */
function linkedCommand(query) {
  const { vehicle: _, command: name, ...params } = Object.fromEntries(query);
  return { command_name: name, command_params: params };
}

function showVehicleNote([vehicle]) {
  const isAway = vehicle && !isConnected(vehicle);
  const lastSeen = isAway && vehicle.last_seen_at && [" Last seen ", time(vehicle.last_seen_at), "."];
  showMessage(byId("vehicle-note"), isAway && ["Not connected: commands wait until it is back or expire.", lastSeen]);
  byId("chosen-vin").textContent = vehicle?.vin ?? ""; // the row may be out of view
}

function navigate(id, command = null) {
  if (id !== live.id) window.history.pushState(null, "", commandAddress(id));
  show(id, command);
  bringIntoView(byId("live"));
}

function show(id, command = null) {
  recent.select(id);
  if (id) live.open(id, command);
  else live.close();
}

const addressedId = () => location.pathname.match(/^\/commands\/([0-9a-f-]{36})\/$/)?.[1] ?? null;
const showAddressed = () => show(addressedId());

function bringIntoView(panel) {
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top > innerHeight * 0.6) panel.scrollIntoView();
}

window.addEventListener("popstate", showAddressed);
showAddressed();
if (viewer.canSubmit) compose();
