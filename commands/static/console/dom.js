// Elements, times and badges. Text goes in as text nodes only: what a vehicle says can never become markup.

import { PARAMETER_WORDS } from "./words.js";

/** `attributes`: true sets an empty one; false, null and undefined set none. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

export function button(label, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", onClick);
  return node;
}

export function badge(kind, words, attributes = {}) {
  return element("span", { class: "badge", "data-kind": kind, ...attributes }, words);
}

/** Make `parent` hold exactly `nodes`, and move none that is in place already: a moved node loses the focus. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/** Make `parent` say this. Where it does already nothing is touched: selection and animations go on. */
export function renew(parent, ...children) {
  const fresh = parent.cloneNode(false);
  fresh.append(...children.flat().filter((child) => child != null && child !== false));
  if (!fresh.isEqualNode(parent)) keepingFocus(parent, () => parent.replaceChildren(...fresh.childNodes));
}

/** A link that was focused and is made anew has the focus again; else the one that has come into its place. */
function keepingFocus(parent, change) {
  const links = () => [...parent.querySelectorAll("a")];
  const focused = document.activeElement;
  const place = links().indexOf(focused);
  change();
  if (place >= 0) (links().find((link) => link.isEqualNode(focused)) ?? links()[place])?.focus({ preventScroll: true });
}

/** A cell of a table; on a phone `label` stands before it. */
export const cell = (label, ...children) => element("td", { "data-label": label || null }, ...children);

/** Whatever a vehicle sent, as one line of text. */
export function plain(value) {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

export function parameters(params) {
  const entries = Object.entries(params ?? {});
  return entries.map(([name, value]) => {
    const label = element("span", { class: "muted", title: name }, PARAMETER_WORDS[name] ?? name);
    return element("span", { class: "parameter" }, label, " ", element("code", {}, plain(value)));
  });
}

export function submitter({ submitted_by: name }, username) {
  return name && name !== username && element("span", { class: "parameter muted" }, `by ${name}`);
}

const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const FORMATS = {
  precise: new Intl.DateTimeFormat(undefined, { ...clock, fractionalSecondDigits: 3 }),
  today: new Intl.DateTimeFormat(undefined, clock),
  other: new Intl.DateTimeFormat(undefined, { ...clock, day: "numeric", month: "short" }),
};

/** An instant in the viewer's zone; the exact one is in the title. */
export function time(iso, { precise = false } = {}) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return element("span", {}, "–");
  const isToday = date.toDateString() === new Date().toDateString();
  const format = precise ? FORMATS.precise : isToday ? FORMATS.today : FORMATS.other;
  return element("time", { datetime: iso, title: iso }, format.format(date));
}

/** What to say of a submission that had arrived before. */
export const replayedWords = ({ submitted_at: at }) => [
  "This was submitted before, at ",
  time(at),
  "; it did not run twice.",
];

export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

const pad = (number) => String(Math.floor(number)).padStart(2, "0");
