// The common parts of both charts: an SVG as wide as its place, grid lines with a scale, and the time below.

import { element, update } from "../dom.js";
import { clock, dayAndClock } from "../format.js";

export const WIDTH = 600;
export const HEIGHT = 100;

const DAY_SECONDS = 86_400;
const BURST = 4; // times the usual value: such a value is cut, so that it does not flatten the rest

export const stepWidth = (outcomes) => WIDTH / outcomes.steps.length;

/** The start of a step, with its day if the period has several. */
export const startOf = ({ at }, { steps, step_seconds: seconds }) =>
  steps.length * seconds < DAY_SECONDS ? clock(at) : dayAndClock(at);

export class Plot {
  #label;
  #scale = element("div", { class: "scale" });
  #times = element("div", { class: "times" });
  #note = element("p", { class: "times-note muted" });
  #columns = svg("g");

  /** label(value) is the text of a value on the scale. */
  constructor({ root, drawing, label }) {
    this.#label = label;
    const grid = [0, 0.5, 1].map((part) => svg("path", { class: "grid", d: `M0 ${HEIGHT * part}H${WIDTH}` }));
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", focusable: "false" };
    root.append(this.#scale, svg("svg", box, ...grid, drawing, this.#columns), this.#times, this.#note);
  }

  /** describe(step) is the text shown when the pointer is on the step; values are those that are drawn. */
  show(max, outcomes, values, describe) {
    const { steps } = outcomes;
    const ticks = [0, Math.floor(steps.length / 2), steps.length - 1].map((index) => steps[index]);
    update(
      this.#scale,
      [max, max / 2, 0].map((value) => element("span", {}, this.#label(value))),
    );
    update(
      this.#times,
      ticks.map((step) => element("span", {}, startOf(step, outcomes))),
    );
    const highest = Math.max(0, ...values);
    const at = highest > max && steps[values.indexOf(highest)];
    update(this.#note, at ? `Highest, cut off here: ${this.#label(highest)} at ${startOf(at, outcomes)}` : "");
    this.#describe(steps, stepWidth(outcomes), describe);
  }

  #describe(steps, width, describe) {
    const { childNodes: columns } = this.#columns;
    if (columns.length !== steps.length)
      this.#columns.replaceChildren(...steps.map((_, index) => column(index, width)));
    for (const [index, step] of steps.entries()) columns[index].firstChild.replaceChildren(describe(step));
  }
}

function column(index, width) {
  return svg("rect", { class: "hover", x: index * width, width, y: 0, height: HEIGHT }, svg("title"));
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The end of the scale for these values: one burst among them is cut, and does not flatten the rest. */
export function scaleFor(values, min) {
  const known = values.filter((value) => value > 0).sort((a, b) => a - b);
  const usual = known[Math.ceil(known.length * 0.9) - 1] ?? 0;
  const highest = known.at(-1) ?? 0;
  return roundUp(highest > usual * BURST ? usual * 2 : highest, min);
}

/** Round up to 2, 4, 10, 20, 40 …, so that half of it is a round number too. */
export function roundUp(value, min) {
  if (value <= min) return min;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((factor) => factor * power).find((round) => round >= value);
}

/** Show the numbers of the chart as a table for screen readers. */
export function showText(root, rows) {
  const cells = ([head, ...rest]) => [
    element("th", { scope: "row" }, head),
    rest.map((text) => element("td", {}, text)),
  ];
  update(
    root.querySelector("[data-text]"),
    rows.map((row) => element("tr", {}, cells(row))),
  );
}
