// The page of a new campaign: a form, a preview of what it would do, and the draft that is written.

import { listCommandTypes, previewCampaign, Submission, writeCampaign } from "../api.js";
import { parameters } from "../command.js";
import { CommandFields } from "../command_fields.js";
import { byId, element, showLines, showMessage, update } from "../dom.js";
import { selectValue } from "../filters.js";
import { counted, time, whole } from "../format.js";
import { viewer } from "../site.js";
import { campaignAddress } from "./state.js";

const DAY_MS = 86_400_000;
const CAUTION = "It changes the vehicles, is never tried again, and needs the approval of another person.";
const form = byId("new-campaign-form");
const dialog = byId("confirm");
const fields = new CommandFields({
  form,
  caution: CAUTION,
  whyNot: ({ safe_to_repeat: isSafe, permission }) =>
    (isSafe || viewer.canSendUnsafe) && (!permission || viewer.canSendIntrusive)
      ? ""
      : "only a fleet admin may send it to many vehicles",
});
const { search, connection_status: connection, tag, time_zone: zone } = form.elements;
const link = new URLSearchParams(location.search);
const submission = new Submission(writeCampaign);
let plan = null; // what the dialog asks about
let isBusy = false;

search.value = link.get("search") ?? "";
tag.value = link.get("tag") ?? "";
selectValue(connection, link.get("connection_status") ?? "");
zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;

// --- Reading the form

function read() {
  const data = new FormData(form);
  const days = data.getAll("day");
  const percent = data.get("go_on_below_failed_percent");
  const hours = { from: data.get("from"), to: data.get("to"), time_zone: data.get("time_zone").trim() };
  return {
    command_name: fields.chosenType()?.name,
    command_params: fields.values(),
    vehicle_filter: Object.fromEntries(
      [
        ["search", search.value.trim()],
        ["connection_status", connection.value],
        ["tag", tag.value.trim()],
      ].filter(([, value]) => value),
    ),
    waves: data
      .get("waves")
      .split(/[\s,;%]+/)
      .filter(Boolean)
      .map(Number),
    go_on_below_failed_percent: percent === "" ? null : Number(percent),
    windows: days.length ? [{ days, ...hours }] : [],
    retries: Number(data.get("retries")),
    expires_at: new Date(Date.now() + Number(data.get("expires_days")) * DAY_MS).toISOString(),
    needs_approval: data.has("needs_approval"),
  };
}

// --- Preview, and the draft

async function check() {
  await filled;
  const wrong = fields.wrongFields();
  if (wrong.length) return wrong[0].focus();
  const request = read();
  const { vehicle_filter: filter, windows, command_name: name } = request;
  const found = await attempt(() => previewCampaign({ vehicle_filter: filter, windows, command_name: name }));
  if (!found) return;
  plan = { ...request, vehicle_count: found.vehicle_count };
  byId("confirm-heading").textContent = `Write a campaign for ${counted(found.vehicle_count, "vehicle")}?`;
  update(byId("confirm-facts"), facts(request, found));
  dialog.showModal();
}

function facts(request, found) {
  const needs = request.needs_approval || found.needs_approval;
  return [
    fact("Command", element("strong", {}, request.command_name), " ", parameters(request.command_params)),
    fact("Vehicles", `${whole(found.vehicle_count)}, ${whole(found.disconnected_count)} of them away now`),
    fact("Waves", request.waves.map((percent) => `${percent} %`).join(", ")),
    fact("Window", found.next_window ? ["opens ", time(found.next_window, "full")] : "always open"),
    fact("Approval", needs ? "by another person" : "not needed"),
  ];
}

const fact = (name, ...content) => element("div", {}, element("dt", {}, name), element("dd", {}, content));

async function write() {
  dialog.close();
  const campaign = await attempt(() => submission.submit(plan));
  if (campaign) location.assign(campaignAddress(campaign.campaign_id));
}

/** Ask the server; show what it refuses. */
async function attempt(ask) {
  if (isBusy) return null;
  isBusy = true;
  showLines(form.querySelector("[data-errors]"), []);
  try {
    return await ask();
  } catch (error) {
    showRefusal(error);
    return null;
  } finally {
    isBusy = false;
  }
}

function showRefusal({ fields: wrong = {}, detail }) {
  const lines = [];
  for (const [name, messages] of Object.entries(wrong)) {
    const text = [messages].flat().join(" ");
    const field = fields.fieldOfError(name);
    if (field) field.showError(text);
    else lines.push(`${name}: ${text}`);
  }
  if (!Object.keys(wrong).length) lines.push(detail);
  showLines(form.querySelector("[data-errors]"), lines);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (viewer.canSubmit) check();
});
byId("confirm-back").addEventListener("click", () => dialog.close());
byId("confirm-write").addEventListener("click", write);
const filled = listCommandTypes().then(
  ({ results }) => fields.setTypes(results),
  (error) => showMessage(form.querySelector("[data-errors]"), error.detail),
);
