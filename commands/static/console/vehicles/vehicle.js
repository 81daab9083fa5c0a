// The page of one vehicle: its facts, its trouble codes and their history, and its last commands.

import { getTroubleCodes, getVehicle, listCommands } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { Poll } from "../poll.js";
import { Timeline } from "../timeline/timeline.js";
import { ValuePanel } from "../values/value_panel.js";
import { showCodes } from "./codes.js";
import { ConnectionTest } from "./connection_test.js";
import { EcuWork } from "./ecu_work.js";
import { showFacts } from "./facts.js";
import { showLastCommands } from "./last_commands.js";
import { LockPanel } from "./lock_panel.js";
import { NotesPanel } from "./notes.js";
import { showPin } from "./pin.js";
import { Retirement } from "./retirement.js";
import { offerScan, showReport } from "./scan.js";
import { TagPanel } from "./tags.js";

const REFRESH_MS = 3000;
const LAST_COMMANDS = 10;

const id = byId("vehicle").dataset.vehicle;
const timeline = new Timeline();
const connection = new ConnectionTest(id, () => poll.now());
const retirement = new Retirement(id, () => poll.now());
const tags = new TagPanel(id, () => poll.now());
const notes = new NotesPanel(id, { onChange: () => poll.now(), onNotes: (found) => timeline.showNotes(found) });
const lock = new LockPanel(id, () => poll.now());
const values = new ValuePanel(id);
const work = new EcuWork({ onEnd: () => poll.now(), readValue: (address) => values.propose(address) });
let codesAt; // when the shown trouble codes were last read or cleared
let shownCodes = null; // as text

async function refresh() {
  try {
    const [vehicle, { results: commands }] = await Promise.all([
      getVehicle(id),
      listCommands({ vehicle_id: id, page_size: LAST_COMMANDS }),
    ]);
    showFacts(vehicle);
    showPin(vehicle);
    retirement.show(vehicle);
    connection.show(vehicle);
    tags.show(vehicle);
    notes.show(vehicle);
    lock.show(vehicle);
    values.show(vehicle);
    work.show(vehicle);
    showLastCommands(commands);
    if (vehicle.trouble_codes_at !== codesAt) await refreshCodes(vehicle);
    showMessage(byId("trouble"), "");
    return true;
  } catch (error) {
    showMessage(byId("trouble"), error.detail ?? "The vehicle could not be shown. Reload the page.");
    return false;
  } finally {
    byId("vehicle").removeAttribute("aria-busy");
  }
}

/** The long history is loaded only when somebody has read or cleared trouble codes. */
async function refreshCodes(vehicle) {
  const codes = await getTroubleCodes(id);
  codesAt = vehicle.trouble_codes_at;
  const text = JSON.stringify(codes);
  if (text === shownCodes) return;
  showCodes(codes, vehicle);
  showReport(id, codes.scans);
  timeline.show(codes);
  if (shownCodes !== null) {
    byId("news").textContent = `The trouble codes have changed or were read again: ${codes.stored.length} stored.`;
  }
  shownCodes = text;
}

offerScan(id);
const poll = new Poll(refresh, REFRESH_MS);
if (new URLSearchParams(location.search).has("test")) {
  history.replaceState(null, "", location.pathname);
  connection.start();
}
