// Parts of every page: the viewer's rights, colours, keyboard shortcuts, and the notice that the session has ended.

import { byId, element, update } from "./dom.js";
import { zoneName } from "./format.js";
import { pageActions } from "./page_keys.js";

const { username, canSubmit, seesAll, canSendUnsafe, canSendIntrusive, canApprove, canHaveWebhooks } =
  document.body.dataset;

/** The user of this page and what to offer. The server checks every right itself. */
export const viewer = {
  username,
  canSubmit: canSubmit === "true",
  seesAll: seesAll === "true",
  canSendUnsafe: canSendUnsafe === "true",
  canSendIntrusive: canSendIntrusive === "true",
  canApprove: canApprove === "true",
  canHaveWebhooks: canHaveWebhooks === "true",
};

// --- Values that this browser stores for the viewer: the parameters used last, and choices of view

const keyOf = (name) => `sovd:${viewer.username}:${name}`;

/** The stored value, or null; null also where the browser stores nothing. */
export function loadValue(name) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(name)));
  } catch {
    return null;
  }
}

export function saveValue(name, value) {
  try {
    localStorage.setItem(keyOf(name), JSON.stringify(value));
  } catch {
    // Nothing depends on a stored value.
  }
}

// --- Colours: those of the system, or as chosen. The server writes the choice into the page, so that nothing flashes.

const THEMES = ["", "light", "dark"];
const THEME_LABELS = { "": "as the system", light: "light", dark: "dark" };
const YEAR_SECONDS = 365 * 24 * 3600;

const theme = () => document.documentElement.dataset.theme ?? "";

function useNextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  document.cookie = `theme=${next}; path=/; max-age=${next ? YEAR_SECONDS : 0}; samesite=lax`;
  labelTheme();
}

function labelTheme() {
  const label = `Colours: ${THEME_LABELS[theme()]}`;
  byId("theme").setAttribute("aria-label", label);
  byId("theme").title = label;
}

// --- Keyboard

const PAGES = { d: "/", v: "/vehicles/", c: "/commands/", b: "/batches/", m: "/campaigns/" };
const shortcutsSwitch = byId("shortcuts");
let isFormBegun = false; // a shortcut must not leave a form with what the user has typed

const isTyping = ({ target }) =>
  target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || isTextInput(target);

const isTextInput = ({ tagName, type }) => tagName === "INPUT" && !["checkbox", "radio", "button"].includes(type);

function handleKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return submitForm(event);
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]"))
    return;
  const act = shortcut(event.key);
  if (!act) return;
  event.preventDefault();
  act();
}

function shortcut(key) {
  if (!shortcutsSwitch.checked) return null;
  if (key === "?") return showShortcuts;
  if (key === "/" && searchField()) return () => searchField().select();
  if (key === "j" || key === "k") return () => moveInList(key === "j" ? 1 : -1);
  if (isFormBegun) return null;
  const address = addressOf(key);
  return address ? () => location.assign(address) : pageActions().find((action) => action.key === key)?.act;
}

function addressOf(key) {
  if (key === "/") return "/commands/?focus=search";
  if (key === "n") return viewer.canSubmit && "/commands/new/";
  return PAGES[key];
}

const searchField = () => document.querySelector("input[type=search]");

/** Focus the link of the next or the previous row. */
function moveInList(step) {
  const rows = [...document.querySelectorAll("main [data-rows] > *")].filter((row) => row.querySelector("a"));
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  rows[at < 0 ? 0 : at + step]?.querySelector("a").focus();
}

function showShortcuts() {
  const keys = pageActions().map(({ key, label }) => {
    return element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, label));
  });
  update(byId("page-keys"), keys);
  byId("page-keys-heading").hidden = !keys.length;
  byId("keys-dialog").showModal();
}

/** Submit a form that offers this shortcut; filters and the logout do not. */
function submitForm({ target }) {
  const form = target.closest("form");
  const button = form?.querySelector('[type=submit][aria-keyshortcuts="Control+Enter"]');
  if (button) form.requestSubmit(button);
}

// --- The menu of the account closes like any menu

const menu = document.querySelector("details.menu");

function closeMenu(event) {
  if (event.key && event.key !== "Escape") return;
  if (!event.key && menu.contains(event.target)) return;
  menu.open = false;
}

function showThatSessionEnded() {
  byId("signed-out").hidden = false;
}

byId("theme").addEventListener("click", useNextTheme);
byId("keys").addEventListener("click", showShortcuts);
document.addEventListener("keydown", handleKey);
document.addEventListener("click", closeMenu);
menu.addEventListener("keydown", closeMenu);
window.addEventListener("signed-out", showThatSessionEnded);
window.addEventListener("signed-in", () => {
  byId("signed-out").hidden = true;
});
shortcutsSwitch.checked = loadValue("shortcuts") !== false;
shortcutsSwitch.addEventListener("change", () => saveValue("shortcuts", shortcutsSwitch.checked));
for (const form of document.querySelectorAll("form[data-kept]")) {
  form.addEventListener("input", () => {
    isFormBegun = true;
  });
  form.addEventListener("sent", () => {
    isFormBegun = false;
  });
}
if (new URLSearchParams(location.search).get("focus") === "search") searchField()?.select();
labelTheme();
for (const node of document.querySelectorAll("[data-zone]")) node.textContent = ` (${zoneName()})`;
