// What every page has: who looks, colours, keyboard, and the notice when the session has ended.

const byId = (id) => document.getElementById(id);
const { username, canSubmit, seesAll, canSendUnsafe } = document.body.dataset;

/** Who looks. What the server does not allow it refuses anyway; this says what to offer. */
export const viewer = {
  username,
  canSubmit: canSubmit === "true",
  seesAll: seesAll === "true",
  canSendUnsafe: canSendUnsafe === "true",
};

// --- Colours: as the system says, or as chosen. The server writes the choice into the page, so that nothing flashes.

const THEMES = ["", "light", "dark"];
const THEME_WORDS = { "": "as the system", light: "light", dark: "dark" };
const YEAR_SECONDS = 365 * 24 * 3600;

const theme = () => document.documentElement.dataset.theme ?? "";

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  document.cookie = `theme=${next}; path=/; max-age=${next ? YEAR_SECONDS : 0}; samesite=lax`;
  sayTheme();
}

function sayTheme() {
  const words = `Colours: ${THEME_WORDS[theme()]}`;
  byId("theme").setAttribute("aria-label", words);
  byId("theme").title = words;
}

// --- Keyboard

const PLACES = { d: "/", v: "/vehicles/", c: "/commands/", f: "/batches/" };

const isTyping = ({ target }) =>
  target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || isTextInput(target);

const isTextInput = ({ tagName, type }) => tagName === "INPUT" && !["checkbox", "radio", "button"].includes(type);

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return submitForm(event);
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]")) return;
  const act = shortcut(event.key);
  if (!act) return;
  event.preventDefault();
  act();
}

function shortcut(key) {
  if (key === "/") return search;
  if (key === "?") return showKeys;
  if (key === "n" && viewer.canSubmit) return () => location.assign("/commands/new/");
  return PLACES[key] && (() => location.assign(PLACES[key]));
}

function search() {
  const field = document.querySelector("input[type=search]");
  if (field) field.select();
  else location.assign("/commands/?focus=search");
}

const showKeys = () => byId("keys-dialog").showModal();

/** Only a form that says so: not the filters, not the log-out. */
function submitForm({ target }) {
  const form = target.closest("form");
  const send = form?.querySelector('[type=submit][aria-keyshortcuts="Control+Enter"]');
  if (send) form.requestSubmit(send);
}

// --- The account's menu closes as menus do

const menu = document.querySelector("details.menu");

function closeMenu(event) {
  if (event.key && event.key !== "Escape") return;
  if (!event.key && menu.contains(event.target)) return;
  menu.open = false;
}

function sayThatSessionEnded() {
  const here = location.pathname + location.search;
  byId("signed-out-link").href = `/accounts/login/?next=${encodeURIComponent(here)}`;
  byId("signed-out").hidden = false;
}

byId("theme").addEventListener("click", nextTheme);
byId("keys").addEventListener("click", showKeys);
document.addEventListener("keydown", onKey);
document.addEventListener("click", closeMenu);
menu.addEventListener("keydown", closeMenu);
window.addEventListener("signed-out", sayThatSessionEnded);
window.addEventListener("signed-in", () => (byId("signed-out").hidden = true));
if (new URLSearchParams(location.search).get("focus") === "search") search();
sayTheme();
