// One vehicle: its facts, its trouble codes and what became of them, and its last commands.

import { getTroubleCodes, getVehicle, listCommands } from "../api.js";
import { showCodes } from "./codes.js";
import { showFacts } from "./facts.js";
import { showLastCommands } from "./last_commands.js";
import { poll } from "../poll.js";
import { createTimeline } from "./timeline.js";

const REFRESH_MS = 3000;
const LAST_COMMANDS = 10;
const LAST_COMPLETED = 5; // of each name: a vehicle carries out its commands in their order

const byId = (id) => document.getElementById(id);
const id = byId("vehicle").dataset.vehicle;
const timeline = createTimeline();
let readOff = null; // what the shown trouble codes were read off, as `evidence` says it
let shownCodes = null; // as text

async function refresh() {
  try {
    const [vehicle, { results: commands }, evidenceNow] = await Promise.all([
      getVehicle(id),
      listCommands({ vehicle_id: id, page_size: LAST_COMMANDS }),
      evidence(),
    ]);
    showFacts(vehicle);
    showLastCommands(commands);
    if (evidenceNow !== readOff) await refreshCodes(evidenceNow);
    complain("");
    return true;
  } catch (error) {
    complain(error.detail ?? "The vehicle could not be shown.");
    return false;
  } finally {
    byId("vehicle").removeAttribute("aria-busy");
  }
}

/** As long as it stays the same, so do the trouble codes: nobody need ask for their long history again. */
async function evidence() {
  const pages = await Promise.all(["ReadDTC", "ClearDTC"].map(lastCompleted));
  return pages.flatMap(({ results }) => results.map(({ command_id: command }) => command)).join();
}

const lastCompleted = (name) =>
  listCommands({ vehicle_id: id, command_name: name, status: "completed", page_size: LAST_COMPLETED });

async function refreshCodes(evidenceNow) {
  const codes = await getTroubleCodes(id);
  readOff = evidenceNow;
  const text = JSON.stringify(codes);
  if (text === shownCodes) return;
  showCodes(codes);
  timeline.show(codes);
  if (shownCodes !== null) byId("news").textContent = `The trouble codes have changed or were read again: ${codes.stored.length} stored.`;
  shownCodes = text;
}

function complain(text) {
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

poll(refresh, REFRESH_MS);
