// All commands that one may see: found, watched, repeated, cancelled, exported.

import { exportAddress, listCommands } from "../api.js";
import { createCancelling } from "./cancel.js";
import { createChoice } from "../choice.js";
import { cell, element, renew, time } from "../dom.js";
import { commandWords, statusBadge, took } from "../command.js";
import { createFilters } from "../filters.js";
import { createPages } from "../pages.js";
import { showSubjects } from "./subjects.js";
import { viewer } from "../site.js";
import { vehicleLink } from "../vehicle.js";
import { ENDED } from "../words.js";

const REFRESH_MS = 3000;

const byId = (id) => document.getElementById(id);

const cancelling = viewer.canSubmit && createCancelling({ chosen: () => chosen(), onCancelled: cancelled });
const choice = createChoice({ rows: byId("commands"), all: byId("choose-all"), onChange: () => cancelling.offer() });
const pages = createPages({
  root: byId("commands"),
  key: ({ command_id: id }) => id,
  row,
  empty: () => (filters.query().size ? "No command matches the filters." : nothingYet()),
  refreshMs: REFRESH_MS,
  upTo: ({ submitted_at: at }) => listCommands(submittedUpTo(filters.query(), at)),
  onResults: (commands) => choice.keepOnly(new Set(commands.filter(isOpen).map(({ command_id: id }) => id))),
});
const filters = createFilters(byId("filters"), find);

function find(query) {
  pages.show(() => listCommands(query));
  showSubjects(byId("filters"), byId("subjects"));
  for (const link of document.querySelectorAll("[data-export]")) link.href = exportAddress(link.dataset.export, query);
}

/** Within the filters. Rounded up to what a Date can hold, thousandths of a second. */
function submittedUpTo(query, instant) {
  query.set("submitted_before", new Date(Date.parse(instant) + 1).toISOString());
  return query;
}

function cancelled() {
  choice.clear();
  pages.refresh();
}

const nothingYet = () =>
  viewer.canSubmit ? "No commands yet. The ones you submit are listed here." : "There are no commands that you may see.";

const isOpen = ({ status }) => !ENDED.has(status);
const chosen = () => pages.results().filter(({ command_id: id }) => choice.has(id));

// --- One command

function row(command, node = newRow(command)) {
  const [status, duration] = node.querySelectorAll("[data-live]");
  renew(status, statusBadge(command));
  renew(duration, took(command));
  const box = node.querySelector("[data-choose]");
  if (box && !isOpen(command)) retire(box);
  return node;
}

function newRow(command) {
  const { command_id: id, submitted_at: at, submitted_by: by } = command;
  return element(
    "tr",
    { "data-command": id },
    viewer.canSubmit && element("td", { class: "choose" }, choice.box(id, `Choose ${command.command_name} for ${command.vin}`)),
    element("td", { class: "submitted nowrap" }, time(at)),
    element("td", { class: "command" }, commandWords(command)),
    cell("", vehicleLink(command)),
    element("td", { class: "status", "data-live": true }),
    element("td", { class: "number took", "data-label": "took", "data-live": true }),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, by),
    viewer.canSubmit && element("td", { class: "act" }, repeatLink(command)),
  );
}

function repeatLink({ command_id: id, command_name: name, vin }) {
  const label = `Repeat ${name} for ${vin}`;
  return element("a", { href: `/commands/new/?repeat=${id}`, "aria-label": label }, "Repeat");
}

/** What has ended cannot be cancelled. Where the focus was, it goes on from. */
function retire(box) {
  if (box === document.activeElement) box.closest("tr").querySelector("a").focus();
  Object.assign(box, { disabled: true, checked: false });
}
