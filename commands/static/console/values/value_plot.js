// Numbers by time: a dot for each, and a line through them. Both axes begin and end near the values.

import { HEIGHT, roundUp, svg, WIDTH } from "../charts/plot.js";
import { element, update } from "../dom.js";
import { plain, time } from "../format.js";

const MAX_TICKS = 5;
const DAY_MS = 24 * 3_600_000;

export class ValuePlot {
  #unit;
  #caption = element("figcaption", {});
  #scale = element("div", { class: "scale" });
  #times = element("div", { class: "times" });
  #grid = svg("g");
  #line = svg("path", { class: "line" });
  #dots = svg("g");

  constructor(name, unit) {
    this.#unit = unit;
    const title = element("strong", { class: "vehicle-text" }, name);
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", focusable: "false" };
    const drawing = svg("svg", box, this.#grid, this.#line, this.#dots);
    const plot = element("div", { class: "plot", "aria-hidden": "true" }, this.#scale, drawing, this.#times);
    this.node = element("figure", { class: "value-plot" }, this.#caption, plot);
    this.#caption.append(title, " ", element("span", {}));
  }

  /** `points`: [{at, number}] by time, at least one. */
  show(points) {
    const numbers = points.map(({ number }) => number);
    const ticks = ticksFor(Math.min(...numbers), Math.max(...numbers));
    const places = points.map(placesIn(points, ticks));
    this.#caption.lastChild.textContent = summary(numbers, this.#unit);
    this.#drawScale(ticks);
    this.#line.setAttribute("d", `M${places.join("L")}`);
    this.#dots.replaceChildren(...places.map((place, index) => this.#dot(place, points[index])));
    update(this.#times, timesOf(points));
  }

  #drawScale(ticks) {
    const lines = ticks.map((_, index) => (HEIGHT * index) / (ticks.length - 1));
    this.#grid.replaceChildren(...lines.map((y) => svg("path", { class: "grid", d: `M0 ${y}H${WIDTH}` })));
    update(
      this.#scale,
      ticks.map((tick, index) => element("span", {}, index ? plain(tick) : `${plain(tick)} ${this.#unit}`)),
    );
  }

  #dot(place, { at, number }) {
    const text = `${plain(number)} ${this.#unit}, ${time(new Date(at).toISOString()).textContent}`;
    return svg("path", { class: "dots", d: `M${place}h0` }, svg("title", {}, text));
  }
}

/** "(rpm): last 1,400, lowest 800, highest 1,650" */
function summary(numbers, unit) {
  const words = [`last ${plain(numbers.at(-1))}`];
  if (numbers.length > 1) words.push(`lowest ${plain(Math.min(...numbers))}`, `highest ${plain(Math.max(...numbers))}`);
  return unit ? `(${unit}): ${words.join(", ")}` : words.join(", ");
}

/** Round numbers around the values, from the highest to the lowest. */
function ticksFor(low, high) {
  const step = high > low ? roundUp((high - low) / 2, Number.MIN_VALUE) : 1;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return Array.from({ length: Math.min(last - first + 1, MAX_TICKS) }, (_, index) => (last - index) * step);
}

/** A function that gives the place of a point as "x y". */
function placesIn(points, ticks) {
  const [from, to] = [points[0].at, points.at(-1).at];
  const [top, bottom] = [ticks[0], ticks.at(-1)];
  return ({ at, number }) => {
    const x = to > from ? ((at - from) / (to - from)) * WIDTH : WIDTH / 2;
    return `${x} ${((top - number) / (top - bottom)) * HEIGHT}`;
  };
}

function timesOf(points) {
  const [from, to] = [points[0].at, points.at(-1).at];
  const style = to - from < DAY_MS ? "clock" : "short";
  const shown = to > from ? [from, (from + to) / 2, to] : [from];
  return shown.map((at) => time(new Date(at).toISOString(), style));
}
