// The page of one campaign: its plan, its waves, what failed, and its commands.

import {
  exportAddress,
  getCampaign,
  listCommands,
  Submission,
  serverNow,
  stepCampaign,
  writeCampaign,
} from "../api.js";
import { countsBar } from "../batches/counts.js";
import { commandAddress, parameters, statusBadge } from "../command.js";
import { byId, element, reconcile, showMessage, update } from "../dom.js";
import { askOnClick, isNoticeWanted, offerNotice, tellEnd } from "../end_notice.js";
import { exportBy } from "../export.js";
import { counted, time, whole } from "../format.js";
import { vehicleLink } from "../known_vehicles.js";
import { explain } from "../labels.js";
import { PagedList } from "../paged_list.js";
import { Poll } from "../poll.js";
import { viewer } from "../site.js";
import { asBatch, campaignAddress, countsText, stateBadge } from "./state.js";

const REFRESH_MS = 2_000;
const id = location.pathname.split("/").at(-2);
const part = (name) => document.querySelector(`[data-campaign=${name}]`);
const status = byId("command-status");
const cancelDialog = byId("cancel-dialog");
const again = new Submission(writeCampaign);
let shown = null;
let isBusy = false;

const commands = new PagedList({
  root: byId("campaign-commands"),
  key: ({ command_id: commandId }) => commandId,
  row: (command, node = element("tr")) => fillRow(node, command),
  emptyText: () => "No commands.",
});

// --- Steps

const isAuthor = ({ submitted_by: name }) => name === viewer.username;
const OFFERED = {
  submit: (campaign) => campaign.state === "draft" && viewer.canSubmit && isAuthor(campaign),
  approve: (campaign) => campaign.state === "waiting_for_approval" && viewer.canApprove && !isAuthor(campaign),
  pause: ({ state }) => state === "running" && viewer.canSubmit,
  resume: ({ state }) => state === "paused" && viewer.canSubmit,
  cancel: ({ state }) => state !== "ended" && viewer.canSubmit,
};

const take = (name) => once(async () => show(await stepCampaign(id, name)));

async function once(work) {
  if (isBusy) return;
  isBusy = true;
  try {
    await work();
    showMessage(part("notice"), "");
  } catch (error) {
    showMessage(part("notice"), error.detail, { isError: true });
  }
  isBusy = false;
}

for (const button of document.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () =>
    button.dataset.step === "cancel" ? cancelDialog.showModal() : take(button.dataset.step),
  );
}

// --- Again, to those that failed: a draft of its own

const failed = ({ progress }) => progress.reduce((sum, wave) => sum + wave.failed + wave.timed_out + wave.expired, 0);

async function sendAgain() {
  const { command_name, command_params, waves, go_on_below_failed_percent, windows, retries } = shown;
  const plan = { command_name, command_params, waves, go_on_below_failed_percent, windows, retries };
  const draft = await again.submit({ ...plan, failed_of_campaign: id, vehicle_count: failed(shown) });
  location.assign(campaignAddress(draft.campaign_id));
}

byId("send-again").addEventListener("click", () => once(sendAgain));
cancelDialog.addEventListener("close", () => cancelDialog.returnValue === "cancel" && take("cancel"));

// --- Drawn again with each refresh

function show(campaign) {
  const hasEnded = campaign.state === "ended";
  if (shown && shown.state !== "ended" && hasEnded) tellEnd(`The campaign ${campaign.command_name} has ended`, "", id);
  shown = campaign;
  offerNotice(byId("notify"), campaign.state === "running" ? serverNow() - Date.parse(campaign.created_at) : null);
  part("name").textContent = `${campaign.command_name} to ${counted(campaign.vehicle_count, "vehicle")}`;
  update(part("about"), about(campaign));
  update(part("state"), stateBadge(campaign));
  update(part("next"), next(campaign));
  for (const button of document.querySelectorAll("[data-step]")) {
    button.hidden = !OFFERED[button.dataset.step](campaign);
  }
  byId("send-again").hidden = !(campaign.state === "ended" && viewer.canSubmit && failed(campaign));
  byId("send-again").textContent = `Write a campaign for the ${whole(failed(campaign))} that failed`;
  drawWaves(campaign);
  if (campaign.failures) drawFailures(campaign.failures);
}

function about(campaign) {
  const { go_on_below_failed_percent: percent, approved_by: approver } = campaign;
  const facts = [
    percent === null ? "goes on whatever fails" : `stops when more than ${percent} % of a wave fail`,
    campaign.retries > 0 && `up to ${counted(campaign.retries, "further attempt")}`,
    ...campaign.windows.map(windowText),
    ["expires ", time(campaign.expires_at, "full")],
    ["written ", time(campaign.created_at, "full"), ` by ${campaign.submitted_by}`],
    approver && `approved by ${approver}`,
    ["ID ", element("code", {}, campaign.campaign_id)],
  ];
  const lines = facts.filter(Boolean).map((fact) => element("span", { class: "muted" }, fact));
  return [...parameters(campaign.command_params), ...lines];
}

const windowText = ({ days, from, to, time_zone: zone }) => `${days.join(", ")} ${from}–${to} ${zone}`;

function next({ state, next_window: opens, estimated_end: ends }) {
  const parts = state === "ended" || !opens ? [] : ["window opens ", time(opens, "full"), " "];
  return ends ? [...parts, "ends about ", time(ends, "full")] : parts;
}

function drawWaves({ progress }) {
  const list = part("waves");
  const nodes = progress.map((_, index) => list.children[index] ?? newWave());
  reconcile(list, nodes);
  progress.forEach((wave, index) => {
    const [title, bar, text] = nodes[index].children;
    title.textContent = `Wave ${wave.number}: ${counted(wave.vehicle_count, "vehicle")}`;
    countsBar(asBatch([wave]), bar);
    text.textContent = countsText([wave]);
  });
}

function newWave() {
  const bar = element("div", { class: "counts-bar", "aria-hidden": "true" });
  return element("li", {}, element("strong"), bar, element("span", { class: "counts-text" }));
}

function drawFailures(failures) {
  const codes = Object.entries(failures).sort(([, one], [, other]) => other - one);
  byId("failures").hidden = codes.length === 0;
  const lines = codes.map(([code, count]) =>
    element("li", {}, element("strong", {}, whole(count)), element("code", {}, code), explain(code)),
  );
  update(part("failures"), lines);
}

// --- Its commands

function fillRow(node, command) {
  update(
    node,
    element("td", {}, vehicleLink(command)),
    element("td", { class: "nowrap" }, statusBadge(command)),
    element("td", {}, command.error_code ? explain(command.error_code, command.error_message) : ""),
    element("td", { class: "nowrap muted" }, time(command.submitted_at)),
    element("td", {}, element("a", { href: commandAddress(command.command_id) }, "Open")),
  );
  return node;
}

function showCommands() {
  for (const link of document.querySelectorAll("[data-export]")) {
    link.href = exportAddress(link.dataset.export, [
      ["campaign_id", id],
      ["status", status.value],
    ]);
  }
  commands.show(() => listCommands({ campaign_id: id, status: status.value }));
}

const failures = document.querySelector("[data-failures-export]");
failures.href = exportAddress("csv", [["failed_of_campaign", id]]);
status.addEventListener("change", showCommands);
for (const link of document.querySelectorAll("[data-export], [data-failures-export]"))
  exportBy(link, byId("export-message"));
showCommands();

async function refresh() {
  try {
    const campaign = await getCampaign(id);
    show(campaign);
    await commands.refresh();
  } catch (error) {
    if (!error.isSignedOut) showMessage(part("notice"), error.detail, { isError: true });
    throw error;
  }
}

askOnClick(byId("notify"));
new Poll(refresh, REFRESH_MS, isNoticeWanted);
