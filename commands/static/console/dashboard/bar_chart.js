// The outcomes of the commands of each step: completed, failed and cancelled, stacked.

import { HEIGHT, Plot, scaleFor, showText, startOf, stepWidth, svg } from "../charts/plot.js";

const SERIES = ["completed", "failed", "cancelled"];
const MIN_SCALE = 4; // commands
const GAP = 2;
const MIN_HEIGHT = 2; // so that one failure among a thousand commands is visible

export class BarChart {
  #root;
  #bars = svg("g");
  #plot;

  constructor(root) {
    this.#root = root;
    this.#plot = new Plot({ root: root.querySelector("[data-plot]"), drawing: this.#bars, label: String });
  }

  show(outcomes) {
    const { steps } = outcomes;
    const totals = steps.map(total);
    const max = scaleFor(totals, MIN_SCALE);
    const width = stepWidth(outcomes);
    this.#bars.replaceChildren(...steps.flatMap((step, index) => stack(step, index * width, width, max)));
    const numbers = (step) => SERIES.map((name) => `${step[name]} ${name}`).join(", ");
    this.#plot.show(max, outcomes, totals, (step) => `${startOf(step, outcomes)}: ${numbers(step)}`);
    const rows = steps
      .filter(total)
      .map((step) => [startOf(step, outcomes), ...SERIES.map((name) => String(step[name]))]);
    showText(this.#root, rows);
  }
}

const total = (step) => SERIES.reduce((sum, name) => sum + step[name], 0);

/** The bars of a step, one on the other, cut at the end of the scale. */
function stack(step, x, width, max) {
  const scale = HEIGHT / Math.max(max, total(step));
  let top = HEIGHT;
  return SERIES.filter((name) => step[name]).map((name) => {
    const height = Math.max(MIN_HEIGHT, step[name] * scale);
    top -= height;
    return svg("rect", { class: `bar ${name}`, x: x + GAP / 2, width: width - GAP, y: top, height });
  });
}
