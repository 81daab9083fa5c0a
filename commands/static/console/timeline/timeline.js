// The history of the trouble codes: a bar for each code, and all changes, newest first, by day.

import { reportAddress } from "../api.js";
import { byId, element, showMessage, update } from "../dom.js";
import { longDate, time } from "../format.js";
import { bySubmitter, sourceLink } from "../trouble_codes.js";
import { CodeBars } from "./code_bars.js";
import { codeRows } from "./code_spans.js";

const CHANGES = {
  appeared: "Appeared",
  status_changed: "Status changed",
  cleared: "Cleared",
  gone: "Gone",
  scanned: "Scanned",
  noted: "Note",
};

const PAGE_SIZE = 50;

export class Timeline {
  #filter = byId("timeline-filter");
  #more = byId("timeline-more");
  #codes = null; // changes and scans, once they are loaded
  #rows = []; // of the bars
  #bars = new CodeBars();
  #notes = [];
  #changes = [];
  #limit = PAGE_SIZE;

  constructor() {
    this.#filter.elements.code.value = new URLSearchParams(location.search).get("code") ?? "";
    this.#more.addEventListener("click", () => this.#showMore());
    this.#filter.addEventListener("input", () => {
      this.#limit = PAGE_SIZE;
      this.#draw();
    });
    this.#filter.addEventListener("submit", (event) => event.preventDefault());
  }

  show({ timeline, stored, scans, is_complete: isComplete }) {
    this.#rows = codeRows(timeline, stored);
    this.#codes = [...scans.map(scanMark), ...timeline];
    offerUnits(this.#filter.elements.ecu, timeline);
    byId("timeline-incomplete").hidden = isComplete;
    this.#merge();
  }

  showNotes(notes) {
    this.#notes = notes.map(noteMark);
    if (this.#codes) this.#merge();
  }

  #merge() {
    this.#changes = [...this.#codes, ...this.#notes].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
    this.#draw();
  }

  #draw() {
    const { ecu, code } = this.#filter.elements;
    const matches = matcher(ecu.value, code.value.trim().toLowerCase());
    const found = this.#changes.filter(matches);
    this.#bars.show(this.#rows.filter(matches));
    const shown = found.slice(0, this.#limit);
    this.#more.hidden = shown.length === found.length;
    update(byId("timeline"), byDay(shown).map(day));
    const emptyText = this.#changes.length ? "Nothing in the timeline matches." : "No trouble code was ever seen.";
    showMessage(byId("timeline-message"), shown.length ? "" : emptyText);
  }

  #showMore() {
    const first = this.#limit;
    this.#limit += PAGE_SIZE;
    this.#draw();
    const next = byId("timeline").querySelectorAll(".change")[first];
    next.tabIndex = -1;
    next.focus();
  }
}

/** A scan among the changes: it stands above those that it found. */
const scanMark = (scan) => ({ ...scan, change: "scanned", description: "The whole vehicle" });

const noteMark = ({ created_at: at, author, text }) => ({
  at,
  change: "noted",
  description: text,
  submitted_by: author,
});

/** Match each word of the text. */
const matcher = (ecu, text) => (change) => {
  const content = `${change.dtc_code ?? ""} ${change.description} ${change.failure_type ?? ""}`.toLowerCase();
  return (!ecu || change.ecu_address === ecu) && text.split(/\s+/).every((word) => content.includes(word));
};

function offerUnits(select, changes) {
  const given = [...select.options].map(({ value }) => value);
  const addresses = new Set(changes.flatMap(({ ecu_address: address }) => address ?? []));
  for (const address of [...addresses].sort()) {
    if (!given.includes(address)) select.append(element("option", { value: address }, address));
  }
}

/** [[the day's name, its changes]…] in the viewer's time zone. */
function byDay(changes) {
  const days = new Map();
  for (const change of changes) {
    const name = longDate(change.at);
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
    element("span", { class: "at" }, time(change.at, "clock")),
    element("span", { class: "what" }, CHANGES[change.change]),
    element("div", { class: "code-words" }, (WORDS[change.change] ?? codeWords)(change)),
    source(change),
  );
}

const codeWords = (change) => [
  element("strong", { class: "code" }, change.dtc_code),
  element("span", { class: "vehicle-text" }, change.description),
  change.failure_type && element("span", { class: "muted" }, change.failure_type),
  element("span", { class: "muted" }, "ECU ", element("code", {}, change.ecu_address), statuses(change)),
];

const scanned = ({ description, command_id: id }) => [
  element("strong", {}, description),
  id && element("a", { href: reportAddress(byId("vehicle").dataset.vehicle, id) }, "Report"),
];

const noted = ({ description }) => element("span", { class: "vehicle-text" }, description);

const WORDS = { scanned, noted };

function statuses({ previous_status: before, status: after }) {
  const known = [before, after].filter((status) => status != null && status !== "");
  if (!known.length) return null;
  const codes = known.map((status) => element("code", {}, status));
  if (codes.length === 2) return [" · status ", codes[0], " → ", codes[1]];
  return [after == null ? " · last status " : " · status ", codes[0]];
}

function source({ command_id: id, change, submitted_by: by }) {
  if (change === "noted") return element("span", { class: "origin muted" }, bySubmitter(by));
  // A change was read by ReadDTC, ScanVehicle, or a clear that reads.
  const command = { cleared: "ClearDTC", scanned: "ScanVehicle" }[change] ?? "read";
  return element("span", { class: "origin muted" }, sourceLink(command, id), bySubmitter(by));
}
