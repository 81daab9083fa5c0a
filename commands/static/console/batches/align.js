// When every vehicle answered with the same kind of number, the results become one column of it.

import { reading } from "./result.js";

/** `heading` names the kind; the unit then stands there, and no longer behind each number. */
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

/** No digit is invented: where another number has more of them, this one has blanks. */
const padded = (text, digits) => text + " ".repeat(digits - fraction(text).length);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
