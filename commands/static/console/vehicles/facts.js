// What is known of the vehicle itself.

import { element, plain, renew, time } from "../dom.js";
import { connectionBadge, modelName } from "../vehicle.js";

const byId = (id) => document.getElementById(id);

export function showFacts(vehicle) {
  document.title = `${vehicle.vin} · SOVD command console`;
  renew(byId("vin"), vehicle.vin);
  renew(byId("model"), modelName(vehicle));
  renew(byId("facts"), ...facts(vehicle).map(fact));
  showMetadata(vehicle.metadata ?? {});
}

function facts(vehicle) {
  return [
    ["Connection", connectionBadge(vehicle)],
    ["Last seen", vehicle.last_seen_at ? time(vehicle.last_seen_at) : "never"],
    ["Waiting", waiting(vehicle)],
    ["VIN", element("span", { class: "vin" }, vehicle.vin)],
    ["Make", vehicle.make],
    ["Model", vehicle.model],
    ["Year", plain(vehicle.year)],
    ["Added", time(vehicle.created_at)],
  ];
}

function waiting({ vehicle_id: id, commands_waiting: count }) {
  if (!count) return "no commands";
  return element("a", { href: `/commands/?vehicle_id=${id}&status=pending` }, count === 1 ? "1 command" : `${count} commands`);
}

function showMetadata(metadata) {
  const entries = Object.entries(metadata);
  const values = entries.map(([name, value]) => [name, element("code", {}, plain(value))]);
  renew(byId("metadata"), ...values.map(fact));
  renew(byId("no-metadata"), "None.");
  byId("no-metadata").hidden = entries.length > 0;
}

const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
