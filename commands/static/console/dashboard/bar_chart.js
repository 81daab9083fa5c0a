// The outcomes of the commands of each minute: completed, failed and cancelled, stacked.

import { clock } from "../format.js";
import { HEIGHT, MINUTES, Plot, roundUp, STEP, showText, svg } from "./plot.js";

const SERIES = ["completed", "failed", "cancelled"];
const MIN_SCALE = 4; // commands
const GAP = 2;
const MIN_HEIGHT = 2; // so that one failure among a thousand commands is visible

export class BarChart {
  #root;
  #stacks = Array.from({ length: MINUTES }, newStack);
  #plot;

  constructor(root) {
    this.#root = root;
    const bars = svg("g", {}, ...this.#stacks.flat());
    this.#plot = new Plot({ root: root.querySelector("[data-plot]"), drawing: bars, label: String });
  }

  show(minutes) {
    const max = roundUp(Math.max(...minutes.map(total)), MIN_SCALE);
    for (const [index, minute] of minutes.entries()) drawStack(this.#stacks[index], minute, max);
    this.#plot.show(max, minutes, describe);
    const rows = minutes
      .filter(total)
      .map((minute) => [clock(minute.at), ...SERIES.map((name) => String(minute[name]))]);
    showText(this.#root, rows);
  }
}

const total = (minute) => SERIES.reduce((sum, name) => sum + minute[name], 0);

const newStack = (_, index) =>
  SERIES.map((name) => svg("rect", { class: `bar ${name}`, x: index * STEP + GAP / 2, width: STEP - GAP }));

function drawStack(bars, minute, max) {
  let top = HEIGHT;
  SERIES.forEach((name, index) => {
    const height = minute[name] && Math.max(MIN_HEIGHT, (minute[name] / max) * HEIGHT);
    top -= height;
    bars[index].setAttribute("y", top);
    bars[index].setAttribute("height", height);
  });
}

const describe = (minute) => `${clock(minute.at)}: ${SERIES.map((name) => `${minute[name]} ${name}`).join(", ")}`;
