// Values of one identifier: a plot of each that is a number, and all of them as a table.
// Names, units and texts come from vehicles and are hostile input.

import { commandAddress } from "../command.js";
import { asText, element, update } from "../dom.js";
import { counted, time } from "../format.js";
import { ValuePlot } from "./value_plot.js";

const MAX_PARTS = 6; // plots of one identifier
const MAX_TEXT = 100;
const MAX_NUMBER = 1e15;

const NO_NUMBER =
  "Nothing is drawn, because the value is not a number. The standard identifiers of measurements have numbers, and " +
  "those that an ODX description of the ECU gives a number.";

/** The values in a response, in the form in which the API gives past ones. */
export function valuesOf({ name, dataId, value, unit, units }) {
  const title = asText(name || dataId);
  if (Object.prototype.toString.call(value) !== "[object Object]") return [part(title, value, unit)];
  return Object.entries(value).map(([key, one]) => part(`${title} ${key}`, one, Object(units)[key]));
}

function part(name, value, unit) {
  const isNumber = typeof value === "number" && Math.abs(value) < MAX_NUMBER;
  const cut = (text) => asText(text ?? "").slice(0, MAX_TEXT);
  return { name: cut(name), unit: cut(unit), number: isNumber ? value : null, text: cut(value) };
}

export class ValueView {
  #root;
  #plots = new Map(); // by name and unit

  constructor(root) {
    this.#root = root;
  }

  /** `reads`: [{at, command_id, values}], the oldest first. */
  show(reads) {
    this.#root.hidden = !reads.length;
    const parts = numbersOf(reads);
    this.#drawPlots(parts);
    this.#part("why").textContent = parts.size || !reads.length ? "" : NO_NUMBER;
    this.#part("why").hidden = parts.size > 0;
    this.#part("count").textContent = counted(reads.length, "read");
    update(this.#part("rows"), [...reads].reverse().map(row));
  }

  clear() {
    this.#plots.clear();
    this.#part("plots").replaceChildren();
    this.show([]);
  }

  #drawPlots(parts) {
    for (const [key, points] of [...parts].slice(0, MAX_PARTS)) {
      if (!this.#plots.has(key)) this.#plots.set(key, this.#newPlot(points[0]));
      this.#plots.get(key).show(points);
    }
  }

  #newPlot({ name, unit }) {
    const plot = new ValuePlot(name, unit);
    this.#part("plots").append(plot.node);
    return plot;
  }

  #part(name) {
    return this.#root.querySelector(`[data-values=${name}]`);
  }
}

/** The numbers of each value over all reads. */
function numbersOf(reads) {
  const parts = new Map();
  for (const { at, values } of reads) {
    for (const { name, unit, number } of values) {
      if (number === null) continue;
      const key = JSON.stringify([name, unit]);
      if (!parts.has(key)) parts.set(key, []);
      parts.get(key).push({ at: Date.parse(at), number, name, unit });
    }
  }
  return parts;
}

function row({ at, command_id: id, values }) {
  const texts = values.map(({ name, unit, text }) => {
    return element("span", {}, element("span", { class: "muted" }, name), ` ${text} ${unit}`);
  });
  return element(
    "tr",
    {},
    element("td", { class: "nowrap" }, element("a", { href: commandAddress(id) }, time(at))),
    element("td", { class: "vehicle-text" }, texts),
  );
}
