// The common parts of both charts: an SVG as wide as its place, grid lines with a scale, and the time below.

import { element, update } from "../dom.js";
import { clock } from "../format.js";

const WIDTH = 600;
export const HEIGHT = 100;
export const MINUTES = 60;
export const STEP = WIDTH / MINUTES;

export class Plot {
  #label;
  #scale = element("div", { class: "scale" });
  #times = element("div", { class: "times" });
  #columns = Array.from({ length: MINUTES }, newColumn);

  /** label(value) is the text of a value on the scale. */
  constructor({ root, drawing, label }) {
    this.#label = label;
    const grid = [0, 0.5, 1].map((part) => svg("path", { class: "grid", d: `M0 ${HEIGHT * part}H${WIDTH}` }));
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", focusable: "false" };
    root.append(this.#scale, svg("svg", box, ...grid, drawing, ...this.#columns), this.#times);
  }

  /** describe(minute) is the text shown when the pointer is on the minute. */
  show(max, minutes, describe) {
    const values = [max, max / 2, 0];
    const ticks = [0, MINUTES / 2, MINUTES - 1].map((index) => minutes[index]);
    update(
      this.#scale,
      values.map((value) => element("span", {}, this.#label(value))),
    );
    update(
      this.#times,
      ticks.map(({ at }) => element("span", {}, clock(at))),
    );
    for (const [index, column] of this.#columns.entries()) column.firstChild.replaceChildren(describe(minutes[index]));
  }
}

function newColumn(_, index) {
  return svg("rect", { class: "hover", x: index * STEP, width: STEP, y: 0, height: HEIGHT }, svg("title"));
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
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
