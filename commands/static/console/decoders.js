// Responses of a vehicle for people: decoded where the type is known, else as JSON. All of it is hostile input.

import { asText, badge, element } from "./dom.js";

/** `vehicle`: the ID of the one that has responded. */
export function decoded(response, vehicle) {
  const decode = DECODERS.get(response?.type);
  if (!decode) return element("pre", { class: "json" }, JSON.stringify(response, null, 2) ?? "");
  return [decode(response, vehicle), rawJson(response)];
}

/** The text is made when somebody opens it: few of a thousand responses ever are. */
function rawJson(response) {
  const json = element("pre", { class: "json" });
  const details = element("details", { class: "raw" }, element("summary", {}, "Raw JSON"), json);
  details.addEventListener("toggle", () => json.replaceChildren(JSON.stringify(response, null, 2)), { once: true });
  return details;
}

const DECODERS = new Map([
  ["dtc", troubleCode],
  ["summary", ({ dtcCount }) => headline(count(dtcCount), "stored", dtcCount === 0)],
  ["reading", ({ ecuAddress, dataId }) => note("Reading", dataId, ecuAddress && ["from ECU address", ecuAddress])],
  ["data", dataValue],
  ["cleared", cleared],
  ["snapshot", snapshot],
  ["written", ({ dataId, raw, ...rest }) => done("Written", rest, [DID(dataId), ["Data", raw]])],
  [
    "routine",
    ({ routineId, action, raw, name, ...rest }) =>
      done(asText(name || "Routine"), rest, routine(routineId, action, raw)),
  ],
  ["reset", ({ resetType, ...rest }) => done("Reset", rest, [["Reset type", resetType]])],
  ["ecu", scannedEcu],
  ["scan", scanned],
  ["progress", ({ ecuAddress, pendingCount }) => progress(ecuAddress, pendingCount)],
]);

const MAX_LISTED = 100; // codes or values of one response; all of them are in its JSON

export function troubleCode({ dtcCode, dtcRaw, description, failureType, ecuAddress, status, statusBits, confirmed }) {
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("strong", { class: "code" }, asText(dtcCode)),
      element("span", { class: "vehicle-text" }, asText(description)),
      failureType && element("span", { class: "muted" }, asText(failureType)),
      typeof confirmed === "boolean" &&
        badge(confirmed ? "confirmed" : "unconfirmed", confirmed ? "Confirmed" : "Not confirmed"),
    ),
    facts([
      ["ECU address", ecuAddress],
      ["Status byte", status],
      ["Raw", dtcRaw],
    ]),
    Array.isArray(statusBits) && statusBits.length > 0 && bits(statusBits),
  );
}

function bits(names) {
  const items = names.map((name) => element("li", { title: asText(name) }, spaced(asText(name))));
  return element("ul", { class: "bits", "aria-label": "Status bits that are set" }, items);
}

function cleared({ clearedCount, ecuAddress, dtcCode, before, remaining, verified }) {
  return element(
    "div",
    { class: "decoded" },
    headline(count(clearedCount), "cleared", verified !== false),
    verified === false && element("p", { class: "caution" }, "The ECU accepted it, but codes remain stored."),
    facts([
      ["ECU address", ecuAddress],
      ["Trouble code", dtcCode],
      ["Stored before", codesText(before)],
      ["Remaining", codesText(remaining)],
      ["Verified", verified === true ? "by a read after the clear" : undefined],
    ]),
  );
}

function codesText(codes) {
  if (!Array.isArray(codes)) return codes;
  const listed = codes.slice(0, MAX_LISTED).map(asText).join(", ");
  return codes.length > MAX_LISTED ? `${listed} … (${codes.length})` : listed || "none";
}

function snapshot({ dtcCode, recordNumber, description, data, ...rest }, vehicle) {
  return element(
    "div",
    { class: "decoded" },
    headline(dtcCode, `snapshot ${asText(recordNumber)}`, true),
    description && element("p", { class: "vehicle-text" }, asText(description)),
    ecuFacts(rest),
    vehicle && element("p", {}, element("a", { href: codeAddress(vehicle, dtcCode) }, "Timeline of this code")),
    Array.isArray(data) && data.length > 0 && valueTable(data),
  );
}

const codeAddress = (vehicle, code) =>
  `/vehicles/${vehicle}/?${new URLSearchParams({ code: asText(code) })}#timeline-code`;

/** The values of a snapshot, of which the first are drawn. */
function valueTable(values) {
  const head = ["Name", "Value", "Unit", "Raw"].map((name) => element("th", { scope: "col" }, name));
  const rows = values.slice(0, MAX_LISTED).map((value) => valueRow(value ?? {}));
  const rest = values.length - rows.length;
  if (rest > 0) rows.push(element("tr", {}, element("td", { colspan: 4 }, `${rest} more are in the raw JSON.`)));
  return element(
    "table",
    { class: "values" },
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, rows),
  );
}

function valueRow({ dataId, name, value, unit, raw }) {
  return element(
    "tr",
    {},
    element("th", { scope: "row", title: asText(dataId) }, asText(name || dataId)),
    element("td", {}, asText(value)),
    element("td", {}, asText(unit)),
    element("td", {}, element("code", {}, asText(raw))),
  );
}

const DID = (dataId) => ["Data identifier", dataId];
const routine = (id, action, raw) => [
  ["Routine", id],
  ["Action", action],
  ["Status record", raw === "" ? "empty" : raw],
];

/** Something that was done by the ECU. */
function done(title, { ecuAddress }, pairs) {
  return element(
    "div",
    { class: "decoded" },
    headline(title, "", true),
    facts([["ECU address", ecuAddress], ...pairs]),
  );
}

const ecuFacts = ({ ecuAddress }) => facts([["ECU address", ecuAddress]]);

function scannedEcu({ ecuAddress, name, reachable, problem, identification, identificationNames, variant, dtcs }) {
  const codes = Array.isArray(dtcs) ? dtcs : [];
  return element(
    "div",
    { class: "decoded" },
    headline(name || ecuAddress, reachable === true ? `· ${count(codes.length)}` : "· not reached", reachable === true),
    problem && element("p", { class: "caution vehicle-text" }, asText(problem)),
    facts([["ECU address", ecuAddress], ...identified(identification, identificationNames), ...recognized(variant)]),
    limited(codes, (code) => troubleCode(code ?? {})),
  );
}

const IDENTIFIERS = { "0xF190": "VIN", "0xF187": "Part number", "0xF189": "Software", "0xF18C": "Serial number" };

function identified(identification, names) {
  const pairs = Object.entries(Object(identification)).slice(0, MAX_LISTED);
  const known = { ...IDENTIFIERS, ...Object(names) };
  return pairs.map(([id, text]) => [Object.hasOwn(known, id) ? asText(known[id]) : id, text]);
}

/** The variant that the ECU's description recognized, and by which values. */
function recognized(variant) {
  const { name, matchedBy } = Object(variant);
  const proofs = Array.isArray(matchedBy) ? matchedBy.slice(0, MAX_LISTED).map(proof).join(", ") : "";
  return name ? [["Variant", `${asText(name)} (${proofs})`]] : [];
}

const proof = (one) => {
  const { dataId, name, parameter, value } = Object(one);
  return `${asText(name || dataId)}: ${asText(parameter)} = ${asText(value)}`;
};

function scanned({ ecuCount, reachableCount, dtcCount }) {
  return headline(`${asText(reachableCount)} of ${asText(ecuCount)} ECUs`, `reached, with ${count(dtcCount)}`, true);
}

function progress(ecuAddress, pendingCount) {
  const times = pendingCount === 1 ? "once" : `${asText(pendingCount)} times`;
  return element("p", {}, "ECU ", element("code", {}, asText(ecuAddress)), ` is still at work: it said so ${times}.`);
}

/** A list of which the first are drawn. */
function limited(values, draw) {
  if (!Array.isArray(values) || values.length === 0) return false;
  const items = values.slice(0, MAX_LISTED).map((value) => element("li", {}, draw(value)));
  const rest = values.length - items.length;
  if (rest > 0) items.push(element("li", { class: "muted" }, `${rest} more are in the raw JSON.`));
  return element("ul", { class: "stored" }, items);
}

function dataValue({ dataId, name, value, unit, units, raw, ecuAddress, variant }) {
  const values = valuesOf(value, units);
  return element(
    "div",
    { class: "decoded" },
    element(
      "p",
      { class: "decoded-head" },
      element("span", { class: "vehicle-text" }, asText(name || dataId)),
      values.length === 0 && element("strong", { class: "value" }, asText(value)),
      unit && element("span", { class: "muted" }, asText(unit)),
    ),
    facts([...values, ["Data identifier", dataId], ["ECU address", ecuAddress], ["Raw", raw], ...recognized(variant)]),
  );
}

/** The values of an identifier that has several, each with its unit. */
function valuesOf(value, units) {
  if (Object.prototype.toString.call(value) !== "[object Object]") return [];
  const pairs = Object.entries(value).slice(0, MAX_LISTED);
  return pairs.map(([name, one]) => [
    name,
    Object.hasOwn(Object(units), name) ? `${asText(one)} ${asText(units[name])}` : one,
  ]);
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value != null);
  const items = known.map(([name, value]) => {
    return element("div", {}, element("dt", {}, name), element("dd", {}, asText(value)));
  });
  return items.length > 0 && element("dl", { class: "facts" }, items);
}

function headline(fact, rest, isGood) {
  return element(
    "p",
    { class: "decoded-head", "data-good": isGood },
    element("strong", {}, asText(fact)),
    element("span", {}, rest),
  );
}

function note(action, subject, origin) {
  return element(
    "p",
    {},
    `${action} `,
    subject != null && element("code", {}, asText(subject)),
    origin && [` ${origin[0]} `, element("code", {}, asText(origin[1]))],
    " …",
  );
}

const count = (number) => `${number === 0 ? "No" : asText(number)} trouble code${number === 1 ? "" : "s"}`;

/** "testFailedSinceLastClear" → "test failed since last clear" */
const spaced = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .replace("dtc", "DTC");
