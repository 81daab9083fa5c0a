// The page of one batch: its progress, and the response of each vehicle.

import { exportAddress, getBatch, getSummary, listResults, serverNow } from "../api.js";
import { parameters, replayMessage } from "../command.js";
import { byId, element, showMessage, update } from "../dom.js";
import { askOnClick, isNoticeWanted, offerNotice, tellEnd } from "../end_notice.js";
import { exportBy } from "../export.js";
import { counted, duration, time, whole } from "../format.js";
import { explain, STATUS_LABELS } from "../labels.js";
import { PagedList } from "../paged_list.js";
import { Poll } from "../poll.js";
import { viewer } from "../site.js";
import { Answer, failedCount } from "./answer.js";
import { CancelRest } from "./cancel_rest.js";
import { countOf, countsBar, countsText, endedCount, stateBadge } from "./counts.js";
import { alignNumbers } from "./number_column.js";
import { resultRow } from "./result_row.js";
import { SendAgain } from "./send_again.js";

const REFRESH_MS = 2_000;
const ANSWER_MS = 5_000;
const TICK_MS = 500;
const PAGE_SIZE = 100;
const PAGE_TITLE = document.title;

const part = (name) => document.querySelector(`[data-batch=${name}]`);
const results = byId("results");
const id = location.pathname.split("/").at(-2);
const wasSubmittedBefore = location.hash === "#submitted-before";
const FILTERS = {
  status: (status) => `None is ${STATUS_LABELS[status]?.toLowerCase() ?? status} now.`,
  dtc_code: (code) => `Vehicles with ${code}`,
  error_code: (code) => `Vehicles where it failed: ${explain(code)[0]}`,
};
let batch = null;
let summary = null;
let answeredAt = Number.NEGATIVE_INFINITY;
let isFinal = false; // nothing can change the answer any more
let [filter, chosen] = filterOfAddress(); // of the results that are shown; empty for all

const cancelling = new CancelRest({ id, onCancelled: show });
const list = new PagedList({
  root: results,
  key: ({ command_id: commandId }) => commandId,
  row: resultRow,
  emptyText: () => (filter === "status" ? FILTERS.status(chosen) : filter ? "There are none." : "It has no commands."),
  onResults: (shown) => alignNumbers(results.querySelector("table"), part("result-heading"), shown),
});

const answer = new Answer({ root: byId("answer"), onChoose: choose });
const again = viewer.canSubmit ? new SendAgain(id) : null;

function filterOfAddress() {
  const query = new URLSearchParams(location.search);
  return (
    Object.keys(FILTERS)
      .map((name) => [name, query.get(name)])
      .find(([, value]) => value) ?? ["", ""]
  );
}

function choose(name, value) {
  [filter, chosen] = value ? [name, value] : ["", ""];
  history.replaceState(null, "", filter ? `?${new URLSearchParams({ [filter]: chosen })}` : location.pathname);
  showResults();
  if (summary) answer.show(summary, batch, chosen);
}

function showResults() {
  const query = filter ? { [filter]: chosen } : {};
  const isOfAnswer = filter && filter !== "status";
  part("only").textContent = isOfAnswer ? FILTERS[filter](chosen) : "";
  part("only").parentElement.hidden = !isOfAnswer;
  for (const button of byId("counts").children) {
    const isPressed = filter === "status" ? button.dataset.status === chosen : !filter && !button.dataset.status;
    button.setAttribute("aria-pressed", String(isPressed));
  }
  list.show(() => listResults(id, { ...query, page_size: PAGE_SIZE }));
}

// --- Drawn again with each refresh

function show(fresh) {
  if (batch && !batch.has_ended && fresh.has_ended)
    tellEnd(`${fresh.name || fresh.command_name} has ended`, countsText(fresh), id);
  batch = fresh;
  const what = `${batch.command_name} to ${counted(batch.vehicle_count, "vehicle")}`;
  part("name").textContent = batch.name ? `${batch.name}: ${what}` : what;
  document.title = `${batch.command_name} · ${endedCount(batch)} of ${batch.vehicle_count} · ${PAGE_TITLE}`;
  if (!part("about").hasChildNodes()) part("about").append(...about().filter(Boolean));
  update(part("state"), stateBadge(batch));
  cancelling.show(batch, { focusInstead: results });
  drawProgress();
  drawCounts();
  drawElapsed();
  showNotice(stopText(), batch.stop_reason === "failures");
}

function about() {
  const percent = batch.stop_above_failed_percent;
  const limit = percent === null ? "never stops automatically" : `stops when more than ${percent} % fail`;
  return [
    batch.reason && element("span", { class: "vehicle-text" }, batch.reason),
    ...parameters(batch.command_params),
    element("span", { class: "muted" }, limit),
    element("span", { class: "muted" }, "submitted ", time(batch.submitted_at, "full"), ` by ${batch.submitted_by}`),
    element("span", { class: "muted" }, "ID ", element("code", {}, batch.batch_id)),
  ];
}

function stopText() {
  if (batch.stop_reason === "failures") {
    const limit = `more than ${batch.stop_above_failed_percent} % failed`;
    return ["Stopped automatically at ", time(batch.stopped_at), `: ${limit}`];
  }
  if (batch.stop_reason) return ["The rest was cancelled at ", time(batch.stopped_at)];
  return wasSubmittedBefore ? replayMessage(batch) : "";
}

function drawProgress() {
  const ended = endedCount(batch);
  part("ended").textContent = `${whole(ended)} of ${whole(batch.vehicle_count)} ended`;
  const progress = part("progress");
  progress.setAttribute("aria-valuemax", batch.vehicle_count);
  progress.setAttribute("aria-valuenow", ended);
  countsBar(batch, progress.firstElementChild);
}

function drawCounts() {
  for (const button of byId("counts").children) {
    const name = button.dataset.status;
    const count = name ? countOf(batch, name) : batch.vehicle_count;
    button.lastElementChild.textContent = whole(count);
    button.toggleAttribute("data-none", count === 0);
  }
}

function drawElapsed() {
  const end = batch.has_ended ? Date.parse(batch.ended_at) : serverNow();
  const elapsed = end - Date.parse(batch.submitted_at);
  part("elapsed").textContent = duration(elapsed);
  offerNotice(byId("notify"), batch.has_ended ? null : elapsed);
}

function showNotice(content, isError) {
  showMessage(part("notice"), content, { isError });
}

// --- Kept fresh while it runs

async function load() {
  try {
    show(await getBatch(id));
  } catch (error) {
    if (!error.isSignedOut) showFailure(error); // the page itself tells about the session; polling goes on after a login
    throw error;
  }
}

function showFailure(error) {
  showNotice(`${error.detail} The page may be out of date.`, true);
  if (error.isPermanent) poll.stop();
}

/** Rows of one status come and go. They must not do so under the pointer or the focus. */
function isHeld() {
  const rows = results.querySelector("[data-rows]");
  return filter === "status" && (rows.matches(":hover") || rows.contains(document.activeElement));
}

async function refresh() {
  await load();
  await refreshAnswer();
  if (isHeld()) return true;
  const isFresh = await list.refresh();
  if (isFresh && batch.has_ended) poll.stop();
  return isFresh;
}

/** The answer is counted anew while commands end, but not as often as the results are loaded. */
async function refreshAnswer() {
  const isDue = batch.has_ended || performance.now() - answeredAt > ANSWER_MS;
  if (isFinal || !isDue) return;
  const isLast = batch.has_ended;
  answeredAt = performance.now();
  summary = await getSummary(id);
  answer.show(summary, batch, chosen);
  again?.show(batch, failedCount(summary));
  isFinal = isLast;
}

byId("counts").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) choose("status", button.dataset.status);
});
part("show-all").addEventListener("click", () => {
  choose("", "");
  results.focus({ preventScroll: true }); // the button is gone
});
for (const link of document.querySelectorAll("[data-export]")) {
  link.href = exportAddress(link.dataset.export, [["batch_id", id]]);
  exportBy(link, byId("export-message"));
}
askOnClick(byId("notify"));
setInterval(() => batch && !batch.has_ended && drawElapsed(), TICK_MS);
showResults();
const poll = new Poll(refresh, REFRESH_MS, isNoticeWanted);
