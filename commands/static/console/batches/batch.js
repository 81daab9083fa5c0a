// One fleet command: how it stands, and what each vehicle answered.

import { cancelBatch, exportAddress, getBatch, listResults, serverNow } from "../api.js";
import { duration, element, parameters, replayedWords, submitter, time } from "../dom.js";
import { createPages } from "../pages.js";
import { poll } from "../poll.js";
import { viewer } from "../site.js";
import { STATUS_WORDS } from "../words.js";
import { alignNumbers } from "./align.js";
import { countOf, countsBar, endedCount, stateBadge, vehicles } from "./counts.js";
import { resultRow } from "./matrix.js";

const REFRESH_MS = 2_000;
const TICK_MS = 500;
const PAGE_SIZE = 100;
const PAGE_TITLE = document.title;

const byId = (id) => document.getElementById(id);
const part = (name) => document.querySelector(`[data-batch=${name}]`);
const results = byId("results");
const dialog = byId("cancel-dialog");
const id = location.pathname.split("/").at(-2);
const wasSubmittedBefore = location.hash === "#submitted-before";
let batch = null;
let status = ""; // of the results that are shown; empty for all

const pages = createPages({
  root: results,
  key: (result) => result.command_id,
  row: resultRow,
  empty: () => (status ? `None is ${STATUS_WORDS[status].toLowerCase()} now.` : "It has no commands."),
  onResults: drawResults,
});

function drawResults(shown) {
  alignNumbers(results.querySelector("table"), part("result-heading"), shown);
}

const showResults = () => pages.show(() => listResults(id, { status, page_size: PAGE_SIZE }));

// --- What is drawn anew with each refresh

function draw() {
  part("name").textContent = `${batch.command_name} to ${vehicles(batch.vehicle_count)}`;
  document.title = `${batch.command_name} · ${endedCount(batch)} of ${batch.vehicle_count} · ${PAGE_TITLE}`;
  if (!part("what").hasChildNodes()) part("what").append(...about());
  drawState();
  drawProgress();
  drawCounts();
  drawElapsed();
  tell(stopWords(), batch.stop_reason === "failures");
}

function about() {
  const percent = batch.stop_above_failed_percent;
  const limit = percent === null ? "never stops by itself" : `stops when more than ${percent} % fail`;
  return [
    ...parameters(batch.command_params),
    submitter(batch, viewer.username) || element("span", { class: "muted" }, "by you"),
    element("span", { class: "muted" }, "at ", time(batch.submitted_at)),
    element("span", { class: "muted" }, limit),
  ];
}

function stopWords() {
  if (batch.stop_reason === "failures") {
    const limit = `more than ${batch.stop_above_failed_percent} % failed`;
    return ["Stopped automatically at ", time(batch.stopped_at), `: ${limit}`];
  }
  if (batch.stop_reason) return ["The rest was cancelled at ", time(batch.stopped_at)];
  return wasSubmittedBefore ? replayedWords(batch) : "";
}

function drawState() {
  const badge = stateBadge(batch);
  if (part("state").textContent !== badge.textContent) part("state").replaceChildren(badge);
  const cancel = byId("cancel-rest");
  const gone = !viewer.canSubmit || batch.has_ended || Boolean(batch.stop_reason);
  if (gone && document.activeElement === cancel) results.focus();
  cancel.hidden = gone;
  if (gone && dialog.open) dialog.close();
}

function drawProgress() {
  const ended = endedCount(batch);
  part("ended").textContent = `${ended.toLocaleString("en")} of ${batch.vehicle_count.toLocaleString("en")} ended`;
  const progress = part("progress");
  progress.setAttribute("aria-valuemax", batch.vehicle_count);
  progress.setAttribute("aria-valuenow", ended);
  countsBar(batch, progress.firstElementChild);
}

function drawCounts() {
  for (const button of byId("counts").children) {
    const name = button.dataset.status;
    const count = name ? countOf(batch, name) : batch.vehicle_count;
    button.lastElementChild.textContent = count.toLocaleString("en");
    button.toggleAttribute("data-none", count === 0);
  }
}

function chooseStatus({ target }) {
  const chosen = target.closest("button");
  if (!chosen) return;
  status = chosen.dataset.status;
  for (const button of byId("counts").children) button.setAttribute("aria-pressed", String(button === chosen));
  showResults();
}

function drawElapsed() {
  if (!batch) return;
  const end = batch.has_ended ? Date.parse(batch.ended_at) : serverNow();
  part("elapsed").textContent = duration(end - Date.parse(batch.submitted_at));
}

function tell(content, isError = false) {
  const notice = part("notice");
  const words = element("p", {}, ...[content].flat());
  if (notice.textContent !== words.textContent) notice.replaceChildren(...words.childNodes);
  notice.classList.toggle("error", isError);
}

// --- Kept fresh while it runs

async function load() {
  try {
    batch = await getBatch(id);
    draw();
  } catch (error) {
    if (!error.signedOut) complain(error); // which the page says above; it goes on after a log-in in another tab
    throw error;
  }
}

function complain(error) {
  tell(`${error.detail} What is shown may be out of date.`, true);
  if (error.permanent) polled.stop();
}

/** Among all, rows stay where they are; those of one status come and go, and must not do so under a hand. */
function isHeld() {
  const rows = results.querySelector("[data-rows]");
  return status !== "" && (rows.matches(":hover") || rows.contains(document.activeElement));
}

async function refresh() {
  await load();
  if (isHeld()) return true;
  const isFresh = await pages.refresh();
  if (isFresh && batch.has_ended) polled.stop();
  return isFresh;
}

// --- Cancelling the rest

function askToCancel() {
  const [waiting, running] = [countOf(batch, "pending"), countOf(batch, "in_progress")];
  part("cancel-what").textContent = [
    `Taken back before they reach their vehicle: ${waiting.toLocaleString("en")}.`,
    running > 0 && `Running and asked to stop: ${running.toLocaleString("en")}; some may still be carried out.`,
    "What has ended stays as it is.",
  ]
    .filter(Boolean)
    .join(" ");
  tellDialog("");
  dialog.showModal();
}

async function cancelRest(event) {
  event.preventDefault();
  const go = byId("cancel-go");
  if (go.getAttribute("aria-disabled") === "true") return;
  go.setAttribute("aria-disabled", "true");
  try {
    batch = await cancelBatch(id);
    dialog.close();
    draw();
  } catch (error) {
    if (error.status === 409) dialog.close(); // It has ended meanwhile: the next refresh says how.
    else tellDialog(error.detail);
  }
  go.removeAttribute("aria-disabled");
}

function tellDialog(text) {
  part("cancel-error").textContent = text;
  part("cancel-error").hidden = !text;
}

byId("counts").addEventListener("click", chooseStatus);
byId("cancel-rest").addEventListener("click", askToCancel);
byId("cancel-close").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", cancelRest);
byId("export-csv").href = exportAddress("csv", [["batch_id", id]]);
byId("export-jsonl").href = exportAddress("jsonl", [["batch_id", id]]);
setInterval(() => batch && !batch.has_ended && drawElapsed(), TICK_MS);
showResults();
const polled = poll(refresh, REFRESH_MS);
