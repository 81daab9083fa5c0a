// The webhooks of the user: added, tested, stopped and started, given a new secret, and deleted.

import { addWebhook, changeWebhook, deleteWebhook, listWebhooks, newWebhookSecret, testWebhook } from "../api.js";
import { badge, button, byId, element, showFieldError, showMessage } from "../dom.js";
import { time } from "../format.js";
import { PagedList } from "../paged_list.js";
import { viewer } from "../site.js";
import { Deliveries } from "./deliveries.js";
import { showSecret } from "./secret.js";

const REFRESH_MS = 5000;

const form = byId("webhook-form");
const url = byId("webhook-url");
const dialog = byId("webhook-dialog");
const deliveries = new Map(); // by webhook id
let confirmed = null; // what the dialog asks for

const list = new PagedList({
  root: byId("webhooks"),
  key: ({ webhook_id: id }) => id,
  row: (webhook, node = newRow(webhook)) => fillRow(node, webhook),
  emptyText: () => "You have no webhooks.",
  refreshMs: REFRESH_MS,
});
list.show(() => listWebhooks());

function newRow({ webhook_id: id }) {
  const log = new Deliveries(id);
  deliveries.set(id, log);
  return element("li", { class: "panel webhook" }, element("div", { "data-about": true }), log.node);
}

/** The buttons keep their place while nothing changes: a node with listeners is made again only then. */
function fillRow(node, webhook) {
  const about = JSON.stringify(webhook);
  if (node.dataset.shown !== about) {
    const focused = document.activeElement?.dataset.action;
    const hadFocus = focused && node.contains(document.activeElement);
    node.querySelector("[data-about]").replaceChildren(...rowParts(webhook));
    if (hadFocus) node.querySelector(`[data-action="${focused}"]`)?.focus();
    node.dataset.shown = about;
  }
  deliveries.get(webhook.webhook_id).refresh();
  return node;
}

function rowParts(webhook) {
  const { url: address, events, owner, created_at: at, disabled_reason: reason, old_secret_until: until } = webhook;
  const isOwn = owner === viewer.username;
  const rest = [events.join(", "), " · since ", time(at), !isOwn && ` · of ${owner}`].filter(Boolean);
  const parts = [
    element("div", { class: "webhook-head" }, element("code", {}, address), stateBadge(webhook)),
    element("p", { class: "muted" }, ...rest),
    reason && element("p", { class: "caution" }, reason),
    Date.parse(until) > Date.now() &&
      element("p", { class: "muted" }, "The former secret signs as well until ", time(until), "."),
    element("div", { class: "webhook-actions" }, ...actions(webhook, isOwn)),
  ];
  return parts.filter(Boolean);
}

function stateBadge({ is_active: isActive, failures }) {
  if (!isActive) return badge("stopped", "Stopped");
  return failures ? badge("expired", `Failing: ${failures} in succession`) : badge("connected", "Active");
}

function actions(webhook, isOwn) {
  const { webhook_id: id, is_active: isActive } = webhook;
  const start = () => change(() => changeWebhook(id, { is_active: true }), "It is active again.");
  const stop = () => change(() => changeWebhook(id, { is_active: false }), "It is stopped.");
  const test = () => change(() => testWebhook(id), "A test is on its way. The deliveries show what comes of it.", id);
  return [
    isActive && action("test", "Send a test", webhook, test),
    action("switch", isActive ? "Stop" : "Start again", webhook, isActive ? stop : start),
    isOwn && action("secret", "New secret", webhook, () => askForSecret(webhook)),
    action("delete", "Delete", webhook, () => askToDelete(webhook), "danger"),
  ].filter(Boolean);
}

const action = (name, label, { url: address }, onClick, kind = "quiet") =>
  button(label, onClick, { class: kind, "data-action": name, "aria-label": `${label}: ${address}` });

/** Do what a button says, tell the outcome, and show the list as it is now. */
async function change(work, outcome, testedId) {
  try {
    await work();
    showMessage(byId("webhook-message"), outcome, { isError: false });
    if (testedId) deliveries.get(testedId)?.open();
  } catch (error) {
    showMessage(byId("webhook-message"), error.detail, { isError: true });
  }
  await list.refresh();
}

function askForSecret(webhook) {
  const words = "Both the new and the present secret sign for 24 hours, so that receivers have time to change.";
  ask(`A new secret for ${webhook.url}?`, words, "Make a new secret", () =>
    change(async () => showSecret(await newWebhookSecret(webhook.webhook_id)), "The webhook has a new secret."),
  );
}

function askToDelete(webhook) {
  const words = "Its deliveries are deleted, too, and what was not sent yet is not sent.";
  ask(`Delete ${webhook.url}?`, words, "Delete", () =>
    change(() => deleteWebhook(webhook.webhook_id), "The webhook is deleted."),
  );
}

function ask(heading, words, label, work) {
  confirmed = work;
  byId("webhook-dialog-heading").textContent = heading;
  byId("webhook-dialog-words").textContent = words;
  byId("webhook-do").textContent = label;
  dialog.showModal();
}

byId("webhook-not").addEventListener("click", () => dialog.close());
byId("webhook-do").addEventListener("click", () => {
  dialog.close();
  confirmed();
});

// --- The form

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const events = new FormData(form).getAll("events");
  if (!url.value.trim()) return say("Name an address.");
  if (!events.length) return say("Choose at least one event.");
  try {
    showSecret(await addWebhook({ url: url.value.trim(), events }));
    form.reset();
    say("");
    await list.show(() => listWebhooks());
  } catch (error) {
    say(Object.values(error.fields).flat().join(" ") || error.detail);
  }
});

function say(text) {
  showFieldError(url, byId("webhook-problem"), text);
  if (text) url.focus();
}
