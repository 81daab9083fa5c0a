// What became of the commands of each minute: completed, failed and cancelled, one upon the other.

import { clock, createPlot, HEIGHT, MINUTES, roundUp, showText, STEP, svg } from "./plot.js";

const SERIES = ["completed", "failed", "cancelled"];
const LEAST = 4; // commands that the scale shows at least
const GAP = 2;
const THIN = 2; // one failure among a thousand is seen too

const total = (minute) => SERIES.reduce((sum, name) => sum + minute[name], 0);

export function createBars(root) {
  const stacks = Array.from({ length: MINUTES }, stack);
  const plot = createPlot(root.querySelector("[data-plot]"), svg("g", {}, ...stacks.flat()), String);

  return {
    show(minutes) {
      const most = roundUp(Math.max(...minutes.map(total)), LEAST);
      minutes.forEach((minute, number) => pile(stacks[number], minute, most));
      plot.label(most, minutes, tell);
      const busy = minutes.filter(total);
      showText(root, busy.map((minute) => [clock(minute.at), ...SERIES.map((name) => String(minute[name]))]));
    },
  };
}

const stack = (_, number) =>
  SERIES.map((name) => svg("rect", { class: `bar ${name}`, x: number * STEP + GAP / 2, width: STEP - GAP }));

function pile(bars, minute, most) {
  let top = HEIGHT;
  SERIES.forEach((name, level) => {
    const height = minute[name] && Math.max(THIN, (minute[name] / most) * HEIGHT);
    top -= height;
    bars[level].setAttribute("y", top);
    bars[level].setAttribute("height", height);
  });
}

const tell = (minute) => `${clock(minute.at)}: ${SERIES.map((name) => `${minute[name]} ${name}`).join(", ")}`;
