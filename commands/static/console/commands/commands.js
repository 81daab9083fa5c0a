// The list of all commands that the user may see: searched, watched, repeated, cancelled, exported.

import { exportAddress, listCommands } from "../api.js";
import { commandSummary, resultWords, runTime, statusBadge } from "../command.js";
import { byId, cell, element, update } from "../dom.js";
import { exportBy } from "../export.js";
import { FilterForm } from "../filters.js";
import { time } from "../format.js";
import { vehicleLink } from "../known_vehicles.js";
import { ENDED } from "../labels.js";
import { PagedList } from "../paged_list.js";
import { RowSelection } from "../row_selection.js";
import { SavedViews } from "../saved_views.js";
import { viewer } from "../site.js";
import { CancelDialog } from "./cancel_dialog.js";
import { showFilterChips } from "./filter_chips.js";

const REFRESH_MS = 3000;

const selection = viewer.canSubmit ? selectToCancel() : null;
const list = new PagedList({
  root: byId("commands"),
  key: ({ command_id: id }) => id,
  row: (command, node = newRow(command)) => fillRow(node, command),
  emptyText: () => (filters.query().size ? "No command matches the filters." : emptyText()),
  refreshMs: REFRESH_MS,
  upTo: ({ submitted_at: at }) => listCommands(submittedUpTo(filters.query(), at)),
  onResults: (commands) => selection?.keepOnly(new Set(commands.filter(isOpen).map(({ command_id: id }) => id))),
});
const filters = new FilterForm(byId("filters"), find);
for (const link of document.querySelectorAll("[data-export]")) exportBy(link, byId("export-message"));
new SavedViews(() => filters.query());

function selectToCancel() {
  const cancelling = new CancelDialog({
    selected: () => list.results().filter(({ command_id: id }) => selection.has(id)),
    onCancelled: () => {
      selection.clear();
      list.refresh();
    },
  });
  return new RowSelection({
    rows: byId("commands"),
    selectAll: byId("choose-all"),
    onChange: (_, openCount) => {
      const shown = list.results().length;
      byId("choose-all-label").textContent = `Choose all that have not ended (${openCount} of ${shown} on this page)`;
      cancelling.update();
    },
  });
}

function find(query) {
  list.show(() => listCommands(query));
  showFilterChips(byId("filters"), byId("filter-chips"));
  for (const link of document.querySelectorAll("[data-export]")) link.href = exportAddress(link.dataset.export, query);
}

/** The query for commands up to this instant, rounded up to the thousandths of a second that a Date can hold. */
function submittedUpTo(query, instant) {
  query.set("submitted_before", new Date(Date.parse(instant) + 1).toISOString());
  return query;
}

const emptyText = () =>
  viewer.canSubmit
    ? "No commands yet. The ones you submit are listed here."
    : "There are no commands that you may see.";

const isOpen = ({ status }) => !ENDED.has(status);

// --- One command

function fillRow(node, command) {
  const [status, result, duration] = node.querySelectorAll("[data-live]");
  update(status, statusBadge(command));
  update(result, resultWords(command));
  update(duration, runTime(command));
  const input = node.querySelector("[data-select]");
  if (input && !isOpen(command)) disable(input);
  return node;
}

function newRow(command) {
  const { command_id: id, submitted_at: at, submitted_by: by } = command;
  return element(
    "tr",
    { "data-command": id },
    selection && element("td", { class: "choose" }, inputOf(command)),
    element("td", { class: "submitted nowrap" }, time(at)),
    element("td", { class: "command" }, commandSummary(command)),
    cell("", vehicleLink(command)),
    element("td", { class: "status", "data-live": true }),
    element("td", { class: "result", "data-live": true }),
    element("td", { class: "number took", "data-label": "ran", "data-live": true }),
    viewer.seesAll && element("td", { class: "by", "data-label": "by" }, by),
    viewer.canSubmit && element("td", { class: "act" }, repeatLink(command)),
  );
}

function inputOf({ command_id: id, command_name: name, vin }) {
  return selection.input(id, { "aria-label": `Choose ${name} for ${vin}` });
}

function repeatLink({ command_id: id, command_name: name, vin }) {
  const label = `Repeat ${name} for ${vin}`;
  return element("a", { href: `/commands/new/?repeat=${id}`, "aria-label": label }, "Repeat");
}

/** A command that has ended cannot be cancelled. The focus moves on to its link. */
function disable(input) {
  if (input === document.activeElement) input.closest("tr").querySelector("a").focus();
  Object.assign(input, { disabled: true, checked: false });
}
