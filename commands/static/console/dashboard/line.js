// The median latency of each minute: a dot, and a line where minutes follow each other.

import { seconds } from "./tiles.js";
import { clock, createPlot, HEIGHT, roundUp, showText, STEP, svg } from "./plot.js";

const LEAST_SECONDS = 0.04;

export function createLine(root) {
  const line = svg("path", { class: "line" });
  const dots = svg("path", { class: "dots" });
  const plot = createPlot(root.querySelector("[data-plot]"), svg("g", {}, line, dots), (value) => (value ? seconds(value) : "0"));

  return {
    show(minutes) {
      const known = minutes.filter(({ median_seconds: median }) => median !== null);
      const most = roundUp(Math.max(0, ...known.map(({ median_seconds: median }) => median)), LEAST_SECONDS);
      const points = minutes.map((minute, number) => point(minute, number, most));
      line.setAttribute("d", points.map((at, number) => at && `${points[number - 1] ? "L" : "M"}${at}`).join(""));
      dots.setAttribute("d", points.map((at) => at && `M${at}h0`).join(""));
      plot.label(most, minutes, tell);
      showText(root, known.map((minute) => [clock(minute.at), seconds(minute.median_seconds)]));
    },
  };
}

function point({ median_seconds: median }, number, most) {
  return median === null ? "" : `${(number + 0.5) * STEP} ${(1 - median / most) * HEIGHT}`;
}

const tell = ({ at, median_seconds: median }) => `${clock(at)}: ${median === null ? "nothing completed" : seconds(median)}`;
