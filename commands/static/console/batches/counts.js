// How a fleet command stands: its state in a word, and its counts as a bar and as text.

import { badge, element } from "../dom.js";
import { STATUS_WORDS } from "../words.js";

// As they follow one another in the bar: what has ended well, what has not, what is still to come.
const ORDER = ["completed", "failed", "timed_out", "expired", "cancelled", "in_progress", "pending"];

const UNBREAKABLE = "\u00a0";

export const countOf = ({ counts }, status) => counts?.[status] ?? 0;

export const endedCount = (batch) => batch.vehicle_count - countOf(batch, "pending") - countOf(batch, "in_progress");

export const vehicles = (count) => `${count.toLocaleString("en")} vehicle${count === 1 ? "" : "s"}`;

/** [kind of badge, words] */
function state({ stop_reason: reason, has_ended: ended }) {
  if (reason && !ended) return ["reconnecting", "Stopping"];
  if (reason === "failures") return ["stopped", "Stopped by failures"];
  if (reason === "cancelled") return ["ended", "Cancelled"];
  return ended ? ["ended", "Ended"] : ["in_progress", "Running"];
}

export const stateBadge = (batch) => badge(...state(batch));

/** "90 completed · 5 failed" */
export function countsText(batch) {
  const found = ORDER.filter((status) => countOf(batch, status));
  const words = (status) => `${countOf(batch, status).toLocaleString("en")} ${STATUS_WORDS[status].toLowerCase()}`;
  return found.map((status) => words(status).replaceAll(" ", UNBREAKABLE)).join(" · ");
}

/** Fills `bar`, or makes a new one. The text beside it says the same: for those who hear, this is a picture. */
export function countsBar(batch, bar = element("div", { class: "counts-bar", "aria-hidden": "true" })) {
  for (const status of ORDER) {
    const part = bar.querySelector(`[data-status=${status}]`) ?? bar.appendChild(newPart(status));
    part.style.flexGrow = countOf(batch, status);
    part.hidden = !countOf(batch, status);
  }
  return bar;
}

const newPart = (status) => element("span", { "data-status": status });
