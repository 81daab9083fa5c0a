// The results as a column of numbers, if every vehicle sent the same kind of number.

import { reading } from "./result_summary.js";

/** Align the numbers in `table`. `heading` then names their kind and unit, and the unit is hidden in the rows. */
export function alignNumbers(table, heading, results) {
  const kind = commonKind(results);
  heading.textContent = kind ?? "Result";
  table.toggleAttribute("data-numbers", kind !== null);
  const numbers = [...table.querySelectorAll("[data-number]")];
  const digits = Math.max(0, ...numbers.map((node) => fraction(node.dataset.number).length));
  for (const node of numbers) setText(node, kind ? padded(node.dataset.number, digits) : node.dataset.number);
  table.style.setProperty("--longest", `${Math.max(0, ...numbers.map((node) => node.textContent.length))}ch`);
}

function commonKind(results) {
  const readings = results.filter(({ status }) => status === "completed").map(reading);
  const kinds = new Set(readings.map((read) => read && `${read.name}${read.unit && `, ${read.unit}`}`));
  const [kind] = kinds;
  return kinds.size === 1 ? kind : null;
}

const fraction = (text) => text.match(/^-?\d+(\.\d+)?$/)?.[1] ?? "";

/** Pad with spaces up to the digits of the longest fraction, without inventing digits. */
const padded = (text, digits) => text + " ".repeat(digits - fraction(text).length);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
