// Wires the form of a new fleet command.

import { listCommandTypes, submitBatch } from "../api.js";
import { arrange, element } from "../dom.js";
import { viewer } from "../site.js";
import { createSubmission } from "../submission.js";
import { createVehicleChoice } from "./choice.js";
import { createCommandForm } from "./command.js";
import { createConfirmation } from "./confirm.js";

const byId = (id) => document.getElementById(id);
const form = byId("new-batch-form");
const errors = form.querySelector("[data-errors]");
const submit = form.querySelector("[type=submit]");
const link = new URLSearchParams(location.search);
let busy = false;

if (!link.has("vehicle") && (link.has("search") || link.has("connection_status"))) form.elements.mode.value = "filter";
form.elements.search.value = link.get("search") ?? "";
form.elements.connection_status.value = link.get("connection_status") ?? "";
if (form.elements.connection_status.selectedIndex < 0) form.elements.connection_status.value = "";

const choice = createVehicleChoice({ root: byId("choice"), form });
const command = createCommandForm({ form, canSendUnsafe: viewer.canSendUnsafe });
const submitOnce = createSubmission(submitBatch);
const confirmation = createConfirmation({
  dialog: byId("confirm"),
  send: (request) => submitOnce(request).catch(warn),
  onSent: open,
  onRefused: showRefusal,
});

/** Whoever goes back from here and sends something else should know that this may run too. */
function warn(error) {
  const perhaps = "The last one may have been accepted all the same";
  if (error.uncertain) showErrors([`${perhaps}: look at the fleet commands before you send another.`]);
  throw error;
}

/** Its page says what it was, also when it is a former one. */
function open({ batch_id: id, is_replayed: isReplayed }) {
  location.assign(`/batches/${encodeURIComponent(id)}/${isReplayed ? "#submitted-before" : ""}`);
}

// --- Checking, asking, and what the server says against it

async function check() {
  showErrors([]);
  setBusy(true);
  const chosen = await choice.read();
  const what = command.read();
  setBusy(false);
  if (!chosen) return choice.focus();
  if (!what) return;
  const { count, disconnected } = chosen;
  const request = { ...what.request, ...chosen.request, vehicle_count: count };
  confirmation.ask({ request, type: what.type, count, disconnected });
}

function showRefusal(error) {
  const lines = [];
  for (const [name, messages] of Object.entries(error.fields ?? {})) {
    const text = [messages].flat().join(" ");
    if (name.startsWith("vehicle_")) choice.complain(text);
    else if (!command.complain(name, text)) lines.push(`${name}: ${text}`);
  }
  if (!Object.keys(error.fields ?? {}).length) lines.push(error.detail);
  if ("vehicle_count" in (error.fields ?? {})) choice.recount();
  showErrors(lines);
  form.querySelector("[aria-invalid]")?.focus();
  form.querySelector("[role=alert]:not([hidden])")?.scrollIntoView({ block: "nearest" });
}

function showErrors(lines) {
  arrange(
    errors,
    lines.map((line) => element("p", {}, line)),
  );
  errors.hidden = lines.length === 0;
}

// Not `disabled`: that would take the focus away.
function setBusy(value) {
  busy = value;
  submit.setAttribute("aria-disabled", String(value));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!busy && viewer.canSubmit) check();
});
listCommandTypes().then(
  ({ results }) => command.setTypes(results),
  (error) => showErrors([error.detail]),
);
choice.addByIds(link.getAll("vehicle"));
