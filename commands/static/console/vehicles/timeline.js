// What became of the trouble codes, newest first, by day.

import { element, renew } from "../dom.js";
import { viewer } from "../site.js";

const CHANGES = {
  appeared: "Appeared",
  status_changed: "Status changed",
  cleared: "Cleared",
  gone: "Gone",
};
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

const SHOWN_AT_ONCE = 50;

const byId = (id) => document.getElementById(id);

export function createTimeline() {
  const filter = byId("timeline-filter");
  const more = byId("timeline-more");
  let changes = [];
  let most = SHOWN_AT_ONCE;

  function draw() {
    const found = changes.filter(matches(filter.elements.ecu.value, filter.elements.code.value.trim().toLowerCase()));
    const shown = found.slice(0, most);
    more.hidden = shown.length === found.length;
    renew(byId("timeline"), ...byDay(shown).map(day));
    renew(byId("timeline-message"), changes.length ? "Nothing in the timeline matches." : "No trouble code was ever seen.");
    byId("timeline-message").hidden = shown.length > 0;
  }

  function showMore() {
    const first = most;
    most += SHOWN_AT_ONCE;
    draw();
    byId("timeline").querySelectorAll(".change a")[first].focus();
  }

  more.addEventListener("click", showMore);
  filter.addEventListener("input", () => {
    most = SHOWN_AT_ONCE;
    draw();
  });
  filter.addEventListener("submit", (event) => event.preventDefault());

  return {
    show({ timeline, is_complete: isComplete }) {
      changes = timeline;
      offerEcus(filter.elements.ecu, changes);
      byId("timeline-incomplete").hidden = isComplete;
      draw();
    },
  };
}

const matches = (ecu, words) => (change) =>
  (!ecu || change.ecu_address === ecu) && `${change.dtc_code} ${change.description}`.toLowerCase().includes(words);

function offerEcus(select, changes) {
  const given = [...select.options].map(({ value }) => value);
  const addresses = new Set(changes.map(({ ecu_address: address }) => address));
  for (const address of [...addresses].sort()) {
    if (!given.includes(address)) select.append(element("option", { value: address }, address));
  }
}

/** [[the day's name, its changes]…] in the viewer's zone. */
function byDay(changes) {
  const days = new Map();
  for (const change of changes) {
    const name = DAY.format(new Date(change.at));
    if (!days.has(name)) days.set(name, []);
    days.get(name).push(change);
  }
  return [...days];
}

function day([name, changes]) {
  return element("section", { class: "day" }, element("h3", {}, name), element("ol", {}, changes.map(entry)));
}

function entry(change) {
  return element(
    "li",
    { class: "change", "data-change": change.change },
    element("time", { class: "at", datetime: change.at, title: change.at }, CLOCK.format(new Date(change.at))),
    element("span", { class: "what" }, CHANGES[change.change]),
    element(
      "div",
      { class: "code-words" },
      element("strong", { class: "code" }, change.dtc_code),
      element("span", { class: "vehicle-text" }, change.description),
      element("span", { class: "muted" }, "ECU ", element("code", {}, change.ecu_address), statuses(change)),
    ),
    origin(change),
  );
}

function statuses({ previous_status: before, status: after }) {
  const known = [before, after].filter((status) => status != null && status !== "");
  if (!known.length) return null;
  const codes = known.map((status) => element("code", {}, status));
  if (codes.length === 2) return [" · status ", codes[0], " → ", codes[1]];
  return [after == null ? " · last status " : " · status ", codes[0]];
}

function origin({ command_id: id, change, submitted_by: by }) {
  const command = change === "cleared" ? "ClearDTC" : "ReadDTC";
  return element(
    "span",
    { class: "origin muted" },
    element("a", { href: `/commands/${id}/` }, command),
    viewer.seesAll && ` by ${by}`,
  );
}
