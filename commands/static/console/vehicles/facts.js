// The facts about the vehicle itself.

import { commandAddress } from "../command.js";
import { asText, byId, element, showMessage, update } from "../dom.js";
import { counted, time } from "../format.js";
import { connectionBadge, modelName } from "../known_vehicles.js";
import { bySubmitter, sourceLink } from "../trouble_codes.js";

export function showFacts(vehicle) {
  document.title = `${vehicle.vin} · SOVD command console`;
  update(byId("vin"), vehicle.vin);
  update(byId("model"), modelName(vehicle));
  update(byId("facts"), facts(vehicle).map(fact));
  showMetadata(vehicle.metadata ?? {});
}

function facts(vehicle) {
  return [
    ["Connection", connectionBadge(vehicle)],
    ["Last seen", vehicle.last_seen_at ? time(vehicle.last_seen_at) : "never"],
    ["Waiting", waiting(vehicle)],
    ["Working on it", workingOn(vehicle.queue)],
    ["VIN", element("span", { class: "vin" }, vehicle.vin)],
    ["Make", vehicle.make],
    ["Model", vehicle.model],
    ["Year", asText(vehicle.year ?? "")],
    ["Added", time(vehicle.created_at)],
    ...vehicle.matched_variants.map(variantFact),
  ];
}

/** A variant that the description of an ECU recognized, and by which values. */
function variantFact({ address, variant, matched_by: proofs, command_id: id, matched_at: at }) {
  const values = proofs.map(({ data_id: dataId, name, parameter, value }) => {
    return `${name} (${dataId}): ${parameter} = ${value}`;
  });
  const when = element("a", { href: commandAddress(id) }, "read ", time(at));
  return [`Variant of ${address}`, [element("code", {}, variant), ` by ${values.join(", ")}, `, when]];
}

function waiting({ vehicle_id: id, commands_waiting: count }) {
  if (!count) return "no commands";
  return element("a", { href: `/commands/?vehicle_id=${id}&status=pending` }, counted(count, "command"));
}

/** The command that runs and those in line, of all users. */
function workingOn(queue) {
  if (!queue.length) return "nobody";
  return element("ol", { class: "in-turn" }, queue.map(queued));
}

function queued({ status, command_id: id, command_name: name, submitted_by: by, submitted_at: at }) {
  const words = [sourceLink(name ?? "A command", id), bySubmitter(by)];
  return element("li", {}, words, status === "in_progress" ? ", now" : [", waiting since ", time(at, "clock")]);
}

function showMetadata(metadata) {
  const entries = Object.entries(metadata);
  const values = entries.map(([name, value]) => [name, element("code", {}, asText(value))]);
  update(byId("metadata"), values.map(fact));
  showMessage(byId("no-metadata"), entries.length ? "" : "None.");
}

const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
