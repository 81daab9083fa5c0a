// What both charts stand on: an SVG as wide as its place, lines to measure by, and the time below.

import { element, renew } from "../dom.js";

export const WIDTH = 600;
export const HEIGHT = 100;
export const MINUTES = 60;
export const STEP = WIDTH / MINUTES;

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const clock = (iso) => CLOCK.format(new Date(iso));

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Puts `drawing` into `root`. label(most, minutes) renews what stands beside and below it. */
export function createPlot(root, drawing, words) {
  const grid = [0, 0.5, 1].map((part) => svg("path", { class: "grid", d: `M0 ${HEIGHT * part}H${WIDTH}` }));
  const hovers = Array.from({ length: MINUTES }, hover);
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", focusable: "false" };
  const scale = element("div", { class: "scale" });
  const times = element("div", { class: "times" });
  root.append(scale, svg("svg", box, ...grid, drawing, ...hovers), times);
  return {
    label(most, minutes, tell) {
      renew(scale, ...[most, most / 2, 0].map((value) => element("span", {}, words(value))));
      renew(times, ...[0, MINUTES / 2, MINUTES - 1].map((number) => element("span", {}, clock(minutes[number].at))));
      hovers.forEach((node, number) => node.firstChild.replaceChildren(tell(minutes[number])));
    },
  };
}

function hover(_, number) {
  return svg("rect", { class: "hover", x: number * STEP, width: STEP, y: 0, height: HEIGHT }, svg("title"));
}

/** The next of 2, 4, 10, 20, 40 …: half of it is a round number too. */
export function roundUp(value, least) {
  if (value <= least) return least;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((factor) => factor * power).find((round) => round >= value);
}

export function showText(root, rows) {
  const cells = rows.map(([head, ...rest]) => [element("th", { scope: "row" }, head), ...rest.map((text) => element("td", {}, text))]);
  renew(root.querySelector("[data-text]"), ...cells.map((row) => element("tr", {}, row)));
}
