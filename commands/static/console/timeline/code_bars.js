// A row for each trouble code, with a bar for each time in which it was stored. The list of changes has the same as text.

import { svg, WIDTH } from "../charts/plot.js";
import { button, byId, element, update } from "../dom.js";
import { clock, dayAndClock, time } from "../format.js";

const HEIGHT = 20;
const MAX_SHORT = 12; // rows
const DAY_MS = 24 * 3_600_000;
const STATES = { undefined: "Stored", cleared: "Cleared", gone: "Gone" };

export class CodeBars {
  #figure = byId("code-bars");
  #rows = element("ul", {});
  #times = element("div", { class: "times", "aria-hidden": "true" });
  #more = button("", () => this.#showAll(), { class: "quiet" });
  #all = [];
  #isWhole = false;

  constructor() {
    this.#figure.append(this.#rows, this.#times, this.#more);
  }

  show(rows) {
    this.#all = rows;
    this.#figure.hidden = !rows.length;
    if (rows.length) this.#draw(this.#isWhole || rows.length <= MAX_SHORT + 1 ? rows : rows.slice(0, MAX_SHORT));
  }

  #draw(rows) {
    const range = rangeOf(rows);
    this.#more.hidden = rows.length === this.#all.length;
    this.#more.textContent = `Show all ${this.#all.length} codes`;
    update(
      this.#rows,
      rows.map((row) => rowNode(row, range)),
    );
    update(this.#times, timesOf(range));
  }

  #showAll() {
    this.#isWhole = true;
    this.show(this.#all);
    const next = this.#rows.children[MAX_SHORT];
    next.tabIndex = -1;
    next.focus();
  }
}

/** From the first instant at which something is known of these codes until now. */
function rangeOf(rows) {
  const known = rows.flatMap(({ spans }) => spans.flatMap(({ from, to }) => [from, to])).filter((at) => at !== null);
  return { first: Math.min(...known), now: Math.max(Date.now(), ...known) };
}

function timesOf({ first, now }) {
  const format = now - first < DAY_MS ? clock : dayAndClock;
  const texts = [format(first), format((first + now) / 2), "now"];
  return texts.map((text) => element("span", {}, text));
}

function rowNode(row, range) {
  const { dtc_code: code, ecu_address: ecu, spans } = row;
  const { end } = spans.at(-1);
  return element(
    "li",
    { "data-bar": code, "data-state": end ?? "stored" },
    element("strong", { class: "code" }, code),
    element("span", { class: "muted" }, "ECU ", element("code", {}, ecu)),
    drawing(row, range),
    element("span", { class: "state" }, STATES[end]),
  );
}

function drawing({ dtc_code: code, description, spans }, range) {
  const text = [`${code} ${description}:`, spans.map(spanText).join("; ")].join(" ");
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", focusable: "false" };
  const grid = svg("path", { class: "grid", d: [0, WIDTH / 2, WIDTH].map((x) => `M${x} 0V${HEIGHT}`).join("") });
  return svg("svg", box, svg("title", {}, text), grid, ...spans.map((span) => bar(span, range)));
}

function bar(span, { first, now }) {
  const place = (at) => (now > first ? ((at - first) / (now - first)) * WIDTH : 0);
  const d = `M${place(span.from ?? first)} ${HEIGHT / 2}H${place(span.to ?? now)}`;
  return svg("path", { class: `bar ${span.end ?? "stored"}`, d }, svg("title", {}, spanText(span)));
}

function spanText({ from, to, end }) {
  const begin = from === null ? "stored from an unknown time" : `stored from ${timeText(from)}`;
  return to === null ? `${begin} until now` : `${begin}, ${end} ${timeText(to)}`;
}

const timeText = (at) => time(new Date(at).toISOString()).textContent;
