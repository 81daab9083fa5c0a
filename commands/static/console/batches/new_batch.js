// The page of a new batch.

import { listCommandTypes, Submission, submitBatch } from "../api.js";
import { batchAddress } from "../command.js";
import { byId, showLines } from "../dom.js";
import { selectValue } from "../filters.js";
import { viewer } from "../site.js";
import { BatchConfirmation } from "./batch_confirmation.js";
import { CommandForm } from "./command_form.js";
import { VehicleSelection } from "./vehicle_selection.js";

const canSend = ({ safe_to_repeat: isSafe, permission }) =>
  (isSafe || viewer.canSendUnsafe) && (!permission || viewer.canSendIntrusive);

const form = byId("new-batch-form");
const button = form.querySelector("[type=submit]");
const link = new URLSearchParams(location.search);
let isBusy = false;

const { mode, search, connection_status: connection, tag } = form.elements;
if (!link.has("vehicle") && ["search", "connection_status", "tag"].some((name) => link.has(name)))
  mode.value = "filter";
search.value = link.get("search") ?? "";
tag.value = link.get("tag") ?? "";
selectValue(connection, link.get("connection_status") ?? ""); // the API refuses an unknown value

const selection = new VehicleSelection({ root: byId("choice"), form });
const command = new CommandForm({ form, canSend });
const submission = new Submission(submitBatch);
const confirmation = new BatchConfirmation({
  dialog: byId("confirm"),
  send: (request) => submission.submit(request).catch(warn),
  onSent: open,
  onRefused: showRefusal,
});

/** Warn users who go back from the dialog and send another batch that this one may run too. */
function warn(error) {
  const text = "The last batch may have been accepted. Check the list of batches before you send another.";
  if (error.isUncertain) showErrors([text]);
  throw error;
}

/** Open the batch's page; it shows when the batch was submitted before. */
function open({ batch_id: id, is_replayed: isReplayed }) {
  location.assign(`${batchAddress(id)}${isReplayed ? "#submitted-before" : ""}`);
}

// --- Checking, asking, and the errors of the server

async function check() {
  showErrors([]);
  setBusy(true);
  await filled;
  const vehicles = await selection.read();
  const content = command.read();
  setBusy(false);
  if (!vehicles) return selection.focus();
  if (!content) return;
  const { count, disconnected } = vehicles;
  const request = { ...content.request, ...vehicles.request, vehicle_count: count };
  confirmation.ask({ request, type: content.type, count, disconnected });
}

function showRefusal({ fields = {}, detail }) {
  const lines = [];
  for (const [name, messages] of Object.entries(fields)) {
    const text = [messages].flat().join(" ");
    if (name.startsWith("vehicle_")) selection.showError(text);
    else if (!command.showError(name, text)) lines.push(`${name}: ${text}`);
  }
  if (!Object.keys(fields).length) lines.push(detail);
  if ("vehicle_count" in fields || "vehicle_set" in fields) selection.recount();
  showErrors(lines);
  form.querySelector("[aria-invalid]")?.focus();
  form.querySelector("[role=alert]:not([hidden])")?.scrollIntoView({ block: "nearest" });
}

function showErrors(lines) {
  showLines(form.querySelector("[data-errors]"), lines);
}

// Not `disabled`, which would take the focus away.
function setBusy(value) {
  isBusy = value;
  button.setAttribute("aria-disabled", String(value));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy && viewer.canSubmit) check();
});
const types = listCommandTypes().then(
  ({ results }) => command.setTypes(results),
  (error) => showErrors([error.detail]),
);
const filled = Promise.all([types, selection.chooseFromLink(link.getAll("vehicle"))]);
