// The median latency of each minute: a dot, and a line between minutes that follow each other.

import { clock } from "../format.js";
import { HEIGHT, Plot, roundUp, STEP, showText, svg } from "./plot.js";
import { seconds } from "./tiles.js";

const MIN_SCALE = 0.04; // seconds

export class LineChart {
  #root;
  #line = svg("path", { class: "line" });
  #dots = svg("path", { class: "dots" });
  #plot;

  constructor(root) {
    this.#root = root;
    this.#plot = new Plot({
      root: root.querySelector("[data-plot]"),
      drawing: svg("g", {}, this.#line, this.#dots),
      label: (value) => (value ? seconds(value) : "0"),
    });
  }

  show(minutes) {
    const known = minutes.filter(({ median_seconds: median }) => median !== null);
    const max = roundUp(Math.max(0, ...known.map(({ median_seconds: median }) => median)), MIN_SCALE);
    const points = minutes.map((minute, index) => point(minute, index, max));
    const line = points.map((at, index) => at && `${points[index - 1] ? "L" : "M"}${at}`);
    this.#line.setAttribute("d", line.join(""));
    this.#dots.setAttribute("d", points.map((at) => at && `M${at}h0`).join(""));
    this.#plot.show(max, minutes, describe);
    const rows = known.map((minute) => [clock(minute.at), seconds(minute.median_seconds)]);
    showText(this.#root, rows);
  }
}

function point({ median_seconds: median }, index, max) {
  return median === null ? "" : `${(index + 0.5) * STEP} ${(1 - median / max) * HEIGHT}`;
}

function describe({ at, median_seconds: median }) {
  return `${clock(at)}: ${median === null ? "nothing completed" : seconds(median)}`;
}
