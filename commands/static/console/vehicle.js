// The vehicles that this page has met, and how they are shown.

import { getVehicle } from "./api.js";
import { badge, element } from "./dom.js";
import { VEHICLE_WORDS } from "./words.js";

const known = new Map();
const asked = new Map(); // by id: the questions that are under way

export function remember(vehicles) {
  for (const vehicle of vehicles) known.set(vehicle.vehicle_id, vehicle);
}

export const knownVehicle = (id) => known.get(id);

/** The vehicle as last met; null when it cannot be had. */
export const findVehicle = async (id) => known.get(id) ?? refreshVehicle(id).catch(() => null);

/** The vehicle as it is now. */
export function refreshVehicle(id) {
  if (!asked.has(id)) asked.set(id, ask(id));
  return asked.get(id);
}

async function ask(id) {
  try {
    remember([await getVehicle(id)]);
    return known.get(id);
  } finally {
    asked.delete(id);
  }
}

export const modelName = ({ make, model, year }) => [make, model, year].filter(Boolean).join(" ");

export const connectionBadge = ({ connection_status: status }) => badge(status, VEHICLE_WORDS[status] ?? status);

export function vehicleLink({ vehicle_id: id, vin }) {
  return element("a", { class: "vin", href: `/vehicles/${encodeURIComponent(id)}/` }, vin);
}
