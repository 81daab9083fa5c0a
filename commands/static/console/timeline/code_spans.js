// When each trouble code was stored, from the changes of the timeline.

/**
 * One row for each code of an ECU: {ecu_address, dtc_code, description, failure_type, spans}. Those that are stored
 * come first, then those that were removed last. A span is {from, to, end} in milliseconds: `from` is null if no read
 * tells when it appeared, `to` is null while it is stored, `end` is the change that has ended it.
 */
export function codeRows(timeline, stored) {
  const rows = new Map();
  const oldestFirst = timeline.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
  for (const change of oldestFirst) apply(change, rowOf(rows, change));
  for (const code of stored) complete(code, rowOf(rows, code));
  return [...rows.values()].sort((one, other) => endOf(other) - endOf(one));
}

function rowOf(rows, { ecu_address, dtc_code, description, failure_type }) {
  const key = `${ecu_address} ${dtc_code}`;
  if (!rows.has(key)) rows.set(key, { ecu_address, dtc_code, spans: [] });
  const row = rows.get(key);
  row.description = description || row.description || "";
  row.failure_type = failure_type || row.failure_type;
  return row;
}

function apply({ change, at }, { spans }) {
  const time = Date.parse(at);
  if (change === "appeared") spans.push({ from: time, to: null });
  else if (change !== "status_changed") Object.assign(openSpan(spans), { to: time, end: change });
}

/** A long history is cut: a stored code may have appeared before the first change that is known. */
function complete({ first_seen_at: since }, { spans }) {
  openSpan(spans).from ??= Date.parse(since);
}

function openSpan(spans) {
  if (spans.at(-1)?.to !== null) spans.push({ from: null, to: null });
  return spans.at(-1);
}

const endOf = ({ spans }) => spans.at(-1).to ?? Number.MAX_VALUE;
