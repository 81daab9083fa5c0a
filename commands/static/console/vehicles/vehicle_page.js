// One vehicle: its facts, its trouble codes and what became of them, and its last commands.

import { getTroubleCodes, getVehicle, listCommands } from "../api.js";
import { showCodes } from "./codes.js";
import { showFacts } from "./facts.js";
import { showLastCommands } from "./last_commands.js";
import { poll } from "../poll.js";
import { createTimeline } from "./timeline.js";

const REFRESH_MS = 3000;
const LAST_COMMANDS = 10;

const byId = (id) => document.getElementById(id);
const id = byId("vehicle").dataset.vehicle;
const timeline = createTimeline();
let readCodes = null; // what the shown trouble codes were read off, as `evidence` says it

async function refresh() {
  try {
    const [vehicle, { results: commands }] = await Promise.all([
      getVehicle(id),
      listCommands({ vehicle_id: id, page_size: LAST_COMMANDS }),
    ]);
    showFacts(vehicle);
    showLastCommands(commands);
    if (evidence(commands) !== readCodes) await refreshCodes(evidence(commands));
    complain("");
  } catch (error) {
    complain(error.detail ?? "The vehicle could not be shown.");
  }
  byId("vehicle").removeAttribute("aria-busy");
}

/** As long as it stays the same, so do the trouble codes: nobody need ask for their long history again. */
function evidence(commands) {
  const done = commands.filter(({ command_name: name, status }) => status === "completed" && name.endsWith("DTC"));
  return done.map(({ command_id: command }) => command).join();
}

async function refreshCodes(evidenceNow) {
  const codes = await getTroubleCodes(id);
  showCodes(codes);
  timeline.show(codes);
  if (readCodes !== null) byId("news").textContent = `The trouble codes have changed or were read again: ${codes.stored.length} stored.`;
  readCodes = evidenceNow;
}

function complain(text) {
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

poll(refresh, REFRESH_MS);
