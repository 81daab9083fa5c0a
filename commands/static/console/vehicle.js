// The vehicles that this page has met, and how they are shown.

import { getVehicle } from "./api.js";
import { badge, element } from "./dom.js";
import { VEHICLE_WORDS } from "./words.js";

const known = new Map();

export function remember(vehicles) {
  for (const vehicle of vehicles) known.set(vehicle.vehicle_id, vehicle);
}

export const knownVehicle = (id) => known.get(id);

/** The vehicle, asked for only once; null when it cannot be had. */
export async function findVehicle(id) {
  if (!known.has(id))
    known.set(
      id,
      getVehicle(id).catch(() => forget(id)),
    );
  return known.get(id);
}

function forget(id) {
  known.delete(id);
  return null;
}

export const modelName = ({ make, model, year }) => [make, model, year].filter(Boolean).join(" ");

export const connectionBadge = ({ connection_status: status }) => badge(status, VEHICLE_WORDS[status] ?? status);

export function vehicleLink({ vehicle_id: id, vin }) {
  return element("a", { class: "vin", href: `/vehicles/${encodeURIComponent(id)}/` }, vin);
}
