// One description: the report of its import, and the vehicles that use it.

import { deleteDescription, getDescription } from "../api.js";
import { byId, element, showMessage, update } from "../dom.js";
import { counted, time, whole } from "../format.js";
import { vehicleAddress } from "../known_vehicles.js";
import { Poll } from "../poll.js";
import { stateBadge, usage } from "./state.js";

const REFRESH_MS = 3000;
const MAX_SHOWN = 50; // reasons, until somebody asks for all

const id = byId("description").dataset.description;
const dialog = byId("delete-dialog");
let isWhole = false;
let shown = null;

async function refresh() {
  try {
    shown = await getDescription(id);
    draw(shown);
    return true;
  } catch (error) {
    showMessage(byId("trouble"), error.detail ?? "The description could not be shown. Reload the page.");
    return false;
  } finally {
    byId("description").removeAttribute("aria-busy");
  }
}

function draw(description) {
  document.title = `${description.file_name} · SOVD command console`;
  update(byId("file-name"), description.file_name);
  update(byId("import-state"), stateBadge(description), " ", stateWords(description));
  update(byId("facts"), facts(description).map(fact));
  drawUse(description);
  drawLeftOut(description);
  const remove = byId("delete");
  if (remove) remove.hidden = description.ecu_count > 0;
}

function stateWords({ state, reason }) {
  if (state === "importing") return "A worker imports it, or will as soon as one is free.";
  return state === "refused" ? reason : "";
}

function facts(description) {
  const { size, revision, layers, created_at: at } = description;
  const always = [
    ["Uploaded", time(at)],
    ["Size", sizeText(size)],
  ];
  if (description.state !== "ready") return always;
  return [
    ...always,
    ["Revision", revision || "not named"],
    ["Trouble codes", whole(description.dtc_count)],
    ["Identifiers", whole(description.did_count)],
    ["Routines", whole(description.routine_count)],
    ["Layers", layers.map((name) => [element("code", {}, name), " "])],
  ];
}

const sizeText = (size) =>
  size < 1_000_000 ? `${whole(Math.ceil(size / 1000))} kB` : `${whole(Math.ceil(size / 100_000) / 10)} MB`;

const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));

function drawUse(description) {
  const { vehicles, vehicle_count: count } = description;
  const rows = vehicles.map(({ vehicle_id: vehicle, vin, ecus }) => {
    const link = element("a", { href: vehicleAddress(vehicle), class: "vin" }, vin);
    return element("li", {}, link, ` ECU ${ecus.join(", ")}`);
  });
  const rest = count - vehicles.length;
  if (rest > 0) rows.push(element("li", { class: "muted" }, `and ${counted(rest, "more vehicle")}`));
  update(byId("used-by"), rows);
  showMessage(byId("unused"), count ? "" : `It is used by ${usage(description)}.`);
}

/** The elements that are not used, by the reason, those of which there are most first. */
function drawLeftOut({ state, left_out: rows }) {
  const words = rows.length
    ? `${counted(rows.length, "element")} of the file ${rows.length === 1 ? "is" : "are"} not used.`
    : "Nothing: all that the file says of codes, identifiers and routines is used.";
  byId("left-out-words").textContent = state === "ready" ? words : "The file is not imported.";
  const reasons = new Map();
  for (const { name, reason } of rows) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  const sorted = [...reasons].sort(([, one], [, other]) => other.length - one.length);
  update(byId("left-out"), (isWhole ? sorted : sorted.slice(0, MAX_SHOWN)).map(reasonSection));
  byId("left-out-more").hidden = isWhole || sorted.length <= MAX_SHOWN;
}

function reasonSection([reason, names]) {
  const items = names.map((name) => element("li", {}, element("code", {}, name)));
  return element(
    "details",
    { class: "left-out", open: names.length <= 10 },
    element("summary", {}, reason, " ", element("span", { class: "muted" }, `(${whole(names.length)})`)),
    element("ul", {}, items),
  );
}

byId("left-out-more").addEventListener("click", () => {
  isWhole = true;
  draw(shown);
});
byId("delete")?.addEventListener("click", () => dialog.showModal());
byId("delete-not").addEventListener("click", () => dialog.close());
byId("delete-do").addEventListener("click", async () => {
  try {
    await deleteDescription(id);
    location.assign("/descriptions/");
  } catch (error) {
    dialog.close();
    showMessage(byId("trouble"), error.detail);
  }
});

const poll = new Poll(async () => {
  const isShown = await refresh();
  if (shown && shown.state !== "importing") poll.stop();
  return isShown;
}, REFRESH_MS);
