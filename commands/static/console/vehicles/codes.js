// The trouble codes as they were last read, by ECU address.

import { troubleCode } from "../decoders.js";
import { button, element, renew, time } from "../dom.js";
import { viewer } from "../site.js";

const SHOWN_AT_ONCE = 10;

const shownWhole = new Set(); // ECU addresses
let last = null;

export function showCodes(troubleCodes) {
  last = troubleCodes;
  const { control_units: ecus, stored, timeline } = troubleCodes;
  const holder = document.getElementById("codes");
  renew(holder, ...(ecus.length ? ecus.map((ecu) => section(ecu, stored, clearedSince(ecu, timeline))) : [nothing()]));
}

const nothing = () =>
  element("p", { class: "list-message" }, "Its trouble codes were not read yet, as far as you may see.");

/** What erased codes after they were read: nobody has looked since. */
function clearedSince({ ecu_address: address, read_at: readAt }, timeline) {
  const isLater = ({ change, ecu_address: ecu, at }) => change === "cleared" && ecu === address && at > readAt;
  return timeline.find(isLater);
}

function section(ecu, stored, cleared) {
  const codes = stored.filter(({ ecu_address: address }) => address === ecu.ecu_address);
  const isWhole = codes.length <= SHOWN_AT_ONCE + 1 || shownWhole.has(ecu.ecu_address);
  const list = element("ul", { class: "stored" }, (isWhole ? codes : codes.slice(0, SHOWN_AT_ONCE)).map(code));
  return element(
    "section",
    { class: "ecu", "data-ecu": ecu.ecu_address },
    element("h3", {}, "ECU ", element("code", {}, ecu.ecu_address)),
    element("p", { class: "muted read" }, lastRead(ecu)),
    cleared && element("p", { class: "caution" }, clearedWords(cleared)),
    codes.length > 0 && list,
    !codes.length && !cleared && element("p", { class: "none" }, "No trouble codes are stored."),
    !isWhole && button(`Show all ${codes.length} codes`, () => showWhole(ecu.ecu_address), { class: "quiet more" }),
  );
}

function clearedWords({ at, command_id: id }) {
  return ["Cleared ", time(at), " by ", element("a", { href: `/commands/${id}/` }, "ClearDTC"), "; not read since."];
}

function showWhole(ecu) {
  shownWhole.add(ecu);
  showCodes(last);
  const next = document.querySelectorAll(`[data-ecu="${ecu}"] .stored > li`)[SHOWN_AT_ONCE];
  next.tabIndex = -1;
  next.focus();
}

/** Who has read it, where that can have been somebody else. */
function lastRead({ read_at: at, command_id: id, submitted_by: by }) {
  const link = element("a", { href: `/commands/${id}/` }, "last read");
  return [link, " ", time(at), viewer.seesAll && ` by ${by}`];
}

function code({ dtc_code: dtcCode, description, status, status_bits: statusBits, confirmed, first_seen_at: since }) {
  const shown = troubleCode({ dtcCode, description, status: status || null, statusBits, confirmed });
  const seen = element("p", { class: "muted since" }, "first seen ", time(since));
  return element("li", { "data-code": dtcCode }, shown, seen);
}
