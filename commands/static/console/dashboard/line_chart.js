// The latency of each step: median and 95th percentile, each a dot, and a line between steps that follow each other.

import { HEIGHT, Plot, scaleFor, showText, startOf, stepWidth, svg } from "../charts/plot.js";
import { seconds } from "./tiles.js";

const MIN_SCALE = 0.04; // seconds
const SERIES = { median: "median_seconds", p95: "p95_seconds" };

export class LineChart {
  #root;
  #paths = Object.fromEntries(Object.keys(SERIES).map((name) => [name, newPaths(name)]));
  #plot;

  constructor(root) {
    this.#root = root;
    this.#plot = new Plot({
      root: root.querySelector("[data-plot]"),
      drawing: svg("g", {}, ...Object.values(this.#paths).flat()),
      label: (value) => (value ? seconds(value) : "0"),
    });
  }

  show(outcomes) {
    const { steps } = outcomes;
    const values = steps.map((step) => step[SERIES.p95] ?? 0);
    const max = scaleFor(values, MIN_SCALE);
    for (const [name, field] of Object.entries(SERIES)) {
      const points = steps.map((step, index) => point(step[field], (index + 0.5) * stepWidth(outcomes), max));
      const [line, dots] = this.#paths[name];
      line.setAttribute("d", points.map((at, index) => at && `${points[index - 1] ? "L" : "M"}${at}`).join(""));
      dots.setAttribute("d", points.map((at) => at && `M${at}h0`).join(""));
    }
    this.#plot.show(max, outcomes, values, (step) => `${startOf(step, outcomes)}: ${describe(step)}`);
    const rows = steps
      .filter((step) => step[SERIES.median] !== null)
      .map((step) => [startOf(step, outcomes), ...Object.values(SERIES).map((field) => seconds(step[field]))]);
    showText(this.#root, rows);
  }
}

const newPaths = (name) => ["line", "dots"].map((kind) => svg("path", { class: `${kind} ${name}` }));

function point(value, x, max) {
  return value === null ? "" : `${x} ${(1 - Math.min(1, value / max)) * HEIGHT}`;
}

function describe({ median_seconds: median, p95_seconds: p95 }) {
  return median === null ? "nothing completed" : `median ${seconds(median)}, 95 % within ${seconds(p95)}`;
}
