// The state of a campaign as a badge, and its waves as batches are drawn.

import { badge } from "../dom.js";
import { whole } from "../format.js";

const LABELS = {
  draft: ["pending", "Draft"],
  waiting_for_approval: ["reconnecting", "Waiting for approval"],
  running: ["in_progress", "Running"],
  paused: ["reconnecting", "Paused"],
};
const ENDS = {
  failures: ["stopped", "Stopped by failures"],
  cancelled: ["ended", "Cancelled"],
  expired: ["ended", "Expired"],
};

export const campaignAddress = (id) => `/campaigns/${encodeURIComponent(id)}/`;

export const stateBadge = ({ state, stop_reason: reason }) =>
  badge(...(LABELS[state] ?? ENDS[reason] ?? ["ended", "Ended"]));

/** A wave in the shape of a batch, so that the same bar and text show both: what is not sent is "pending". */
export function asBatch(waves) {
  const sum = (name) => waves.reduce((total, wave) => total + wave[name], 0);
  const counts = Object.fromEntries(
    ["completed", "failed", "timed_out", "cancelled", "expired"].map((name) => [name, sum(name)]),
  );
  return { counts: { ...counts, in_progress: sum("open"), pending: sum("vehicle_count") - sum("sent") } };
}

/** "3 completed · 1 failed · 2 open · 4 not sent" */
export function countsText(waves) {
  const { counts } = asBatch(waves);
  const words = { timed_out: "timed out", in_progress: "open", pending: "not sent" };
  const found = Object.entries(counts).filter(([, count]) => count);
  return found.map(([name, count]) => `${whole(count)}\u00a0${words[name] ?? name}`).join(" · ");
}
