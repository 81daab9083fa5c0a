// What a vehicle answered, for a person: decoded where its type is known, else as JSON. All of it is hostile input.

import { badge, element, plain } from "./dom.js";

export function decoded(response) {
  const decode = DECODERS.get(response?.type);
  if (!decode) return element("pre", { class: "json" }, JSON.stringify(response, null, 2) ?? "");
  return [decode(response), rawJson(response)];
}

/** Its text is made when somebody opens it: of a thousand answers few are. */
function rawJson(response) {
  const json = element("pre", { class: "json" });
  const details = element("details", { class: "raw" }, element("summary", {}, "Raw JSON"), json);
  details.addEventListener("toggle", () => (json.textContent = JSON.stringify(response, null, 2)), { once: true });
  return details;
}

const DECODERS = new Map([
  ["dtc", troubleCode],
  ["summary", ({ dtcCount }) => headline(count(dtcCount, "trouble code"), "stored", dtcCount === 0)],
  ["reading", ({ ecuAddress, dataId }) => note("Reading", dataId, ecuAddress && ["from ECU address", ecuAddress])],
  ["data", dataValue],
  ["cleared", cleared],
]);

export function troubleCode({ dtcCode, description, ecuAddress, status, statusBits, confirmed }) {
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("strong", { class: "code" }, plain(dtcCode)),
      element("span", { class: "vehicle-text" }, plain(description)),
      typeof confirmed === "boolean" &&
        badge(confirmed ? "confirmed" : "unconfirmed", confirmed ? "Confirmed" : "Not confirmed"),
    ),
    facts([
      ["ECU address", ecuAddress],
      ["Status byte", status],
    ]),
    Array.isArray(statusBits) && statusBits.length > 0 && bits(statusBits),
  );
}

function bits(names) {
  const items = names.map((name) => element("li", { title: plain(name) }, spaced(plain(name))));
  return element("ul", { class: "bits", "aria-label": "Status bits that are set" }, items);
}

function cleared({ clearedCount, ecuAddress, dtcCode }) {
  return element(
    "div",
    { class: "decoded" },
    headline(count(clearedCount, "trouble code"), "cleared", true),
    facts([
      ["ECU address", ecuAddress],
      ["Trouble code", dtcCode],
    ]),
  );
}

function dataValue({ dataId, name, value, unit, raw, ecuAddress }) {
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("span", { class: "vehicle-text" }, plain(name ?? dataId)),
      element("strong", { class: "value" }, plain(value)),
      unit && element("span", { class: "muted" }, plain(unit)),
    ),
    facts([
      ["Data identifier", dataId],
      ["ECU address", ecuAddress],
      ["Raw", raw],
    ]),
  );
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value != null);
  const items = known.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, plain(value))),
  );
  return items.length > 0 && element("dl", { class: "facts" }, items);
}

function headline(what, rest, good) {
  return element(
    "p",
    { class: "decoded-head", "data-good": good },
    element("strong", {}, what),
    element("span", {}, rest),
  );
}

function note(what, subject, origin) {
  return element(
    "p",
    {},
    `${what} `,
    subject != null && element("code", {}, plain(subject)),
    origin && [` ${origin[0]} `, element("code", {}, plain(origin[1]))],
    " …",
  );
}

const count = (number, noun) => `${number === 0 ? "No" : plain(number)} ${noun}${number === 1 ? "" : "s"}`;

/** "testFailedSinceLastClear" → "test failed since last clear" */
const spaced = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .replace("dtc", "DTC");
