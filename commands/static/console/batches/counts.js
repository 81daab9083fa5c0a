// The progress of a batch: its state as a badge, and its counts as a bar and as text.

import { badge, element } from "../dom.js";
import { whole } from "../format.js";
import { STATUS_LABELS } from "../labels.js";

// The order in the bar: ended well, ended otherwise, still open.
const ORDER = ["completed", "failed", "timed_out", "expired", "cancelled", "in_progress", "pending"];

const NO_BREAK_SPACE = "\u00a0";

export const countOf = ({ counts }, status) => counts?.[status] ?? 0;

export const endedCount = (batch) => batch.vehicle_count - countOf(batch, "pending") - countOf(batch, "in_progress");

export const stateBadge = (batch) => badge(...state(batch));

/** [kind of badge, label] */
function state({ stop_reason: reason, has_ended: hasEnded }) {
  if (reason && !hasEnded) return ["reconnecting", "Stopping"];
  if (reason === "failures") return ["stopped", "Stopped by failures"];
  if (reason === "cancelled") return ["ended", "Cancelled"];
  return hasEnded ? ["ended", "Ended"] : ["in_progress", "Running"];
}

/** "90 completed · 5 failed" */
export function countsText(batch) {
  const found = ORDER.filter((status) => countOf(batch, status));
  const text = (status) => `${whole(countOf(batch, status))} ${STATUS_LABELS[status].toLowerCase()}`;
  return found.map((status) => text(status).replaceAll(" ", NO_BREAK_SPACE)).join(" · ");
}

/** Fill `bar`. The text beside it has the same numbers, so screen readers skip the bar. */
export function countsBar(batch, bar) {
  for (const status of ORDER) {
    const part = bar.querySelector(`[data-status=${status}]`) ?? bar.appendChild(newPart(status));
    part.style.flexGrow = countOf(batch, status);
    part.hidden = !countOf(batch, status);
  }
}

const newPart = (status) => element("span", { "data-status": status });
