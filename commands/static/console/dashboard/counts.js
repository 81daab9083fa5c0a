// What failed and what was found most often in the period: one line each, with a bar.

import { svg } from "../charts/plot.js";
import { byId, element, showMessage, update } from "../dom.js";
import { counted, whole } from "../format.js";
import { explain } from "../labels.js";
import { spanOf } from "./tiles.js";

export function showReasons(outcomes) {
  const rows = outcomes.failures.map(({ error_code: code, commands }) => ({
    label: element("a", { href: addressOf(code, outcomes) }, explain(code)[0]),
    count: commands,
    text: whole(commands),
  }));
  showCounts("reasons", rows, `No command failed in the last ${spanOf(outcomes)}.`);
}

const addressOf = (code, { since }) => `/commands/?error_code=${code}&submitted_after=${since}`;

export function showCodes(codes, span) {
  const rows = codes.map(({ dtc_code: code, description, vehicles }) => ({
    label: [element("span", { class: "code" }, code), ` ${description}`],
    count: vehicles,
    text: counted(vehicles, "vehicle"),
  }));
  showCounts("codes", rows, `No vehicle that was read in the last ${span} has stored a code.`);
}

function showCounts(id, rows, none) {
  showMessage(byId(`${id}-message`), rows.length ? "" : none);
  const max = Math.max(...rows.map(({ count }) => count));
  update(
    byId(id),
    rows.map(({ label, count, text }) =>
      element("li", {}, element("span", {}, label), element("span", { class: "number" }, text), bar(count / max)),
    ),
  );
}

const bar = (share) =>
  svg(
    "svg",
    { class: "share", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 100 * share, height: 1 }),
  );
