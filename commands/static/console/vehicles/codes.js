// The trouble codes as last read, by ECU address.

import { troubleCode } from "../decoders.js";
import { button, byId, element, update } from "../dom.js";
import { time } from "../format.js";
import { viewer } from "../site.js";
import { actionButton, bySubmitter, clearedSince, snapshotButton, sourceLink } from "../trouble_codes.js";

const MAX_SHORT = 10;

const expanded = new Set(); // ECU addresses with all codes shown
let last = null;
let vehicle = null;

export function showCodes(troubleCodes, ofVehicle = vehicle) {
  last = troubleCodes;
  vehicle = ofVehicle;
  const { control_units: units, stored, timeline } = troubleCodes;
  const sections = [...units, ...unread(units)].map((unit) => section(unit, stored, clearedSince(unit, timeline)));
  update(byId("codes"), sections.length ? sections : nothing());
}

const nothing = () => element("p", { class: "list-message" }, "Its trouble codes were not read yet.");

/** The ECUs of the vehicle whose codes were never read. */
function unread(units) {
  const known = new Set(units.map(({ ecu_address: address }) => Number(address)));
  return vehicle.ecus
    .filter(({ address }) => !known.has(Number(address)))
    .map(({ address }) => ({ ecu_address: address }));
}

const nameOf = (address) => vehicle.ecus.find((ecu) => Number(ecu.address) === Number(address))?.name;

const ACTIONS = { read: "Read codes", clear: "Clear codes…", value: "Read a value" };

function actions(address) {
  const buttons = Object.entries(ACTIONS).map(([action, label]) =>
    actionButton(action, label, `${label} of ECU ${address}`, { "data-of": address }),
  );
  return viewer.canSubmit && element("p", { class: "ecu-actions sends" }, buttons);
}

function section(unit, stored, cleared) {
  const address = unit.ecu_address;
  const codes = stored.filter(({ ecu_address: ecu }) => ecu === address);
  const isWhole = codes.length <= MAX_SHORT + 1 || expanded.has(address);
  const list = element("ul", { class: "stored" }, (isWhole ? codes : codes.slice(0, MAX_SHORT)).map(code));
  return element(
    "section",
    { class: "ecu", "data-ecu": address },
    element("h3", {}, "ECU ", element("code", {}, address), " ", nameOf(address)),
    element("p", { class: "muted read" }, unit.read_at ? lastRead(unit) : "not read yet"),
    actions(address),
    cleared && element("p", { class: "caution" }, clearedNote(cleared)),
    codes.length > 0 && list,
    unit.read_at && !codes.length && !cleared && element("p", { class: "none" }, "No trouble codes are stored."),
    !isWhole && button(`Show all ${codes.length} codes`, () => expand(address), { class: "quiet more" }),
  );
}

function clearedNote({ at, command_id: id, submitted_by: name }) {
  return [sourceLink("Cleared", id), " ", time(at), bySubmitter(name), "; not read since."];
}

function expand(address) {
  expanded.add(address);
  showCodes(last);
  const next = document.querySelectorAll(`[data-ecu="${address}"] .stored > li`)[MAX_SHORT];
  next.tabIndex = -1;
  next.focus();
}

function lastRead({ read_at: at, command_id: id, submitted_by: name }) {
  return [sourceLink("last read", id), " ", time(at), bySubmitter(name)];
}

function code(stored) {
  const { dtc_code: dtcCode, description, status, status_bits: statusBits, confirmed, first_seen_at: since } = stored;
  const { failure_type: failureType } = stored;
  const shown = troubleCode({ dtcCode, description, failureType, status: status || null, statusBits, confirmed });
  const seen = element("p", { class: "muted since" }, "first seen ", time(since), snapshotButton(stored));
  return element("li", { "data-code": dtcCode }, shown, seen);
}
