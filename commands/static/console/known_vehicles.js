// The vehicles that this page has loaded, and the parts of a vehicle as they are shown everywhere.

import { getVehicle } from "./api.js";
import { badge, element } from "./dom.js";
import { VEHICLE_LABELS } from "./labels.js";

const known = new Map();
const requests = new Map(); // by id, while they run

export function remember(vehicles) {
  for (const vehicle of vehicles) known.set(vehicle.vehicle_id, vehicle);
}

export const knownVehicle = (id) => known.get(id);

/** The vehicle as last loaded; null when it cannot be loaded. */
export const findVehicle = async (id) => known.get(id) ?? refreshVehicle(id).catch(() => null);

/** The present state of the vehicle. */
export function refreshVehicle(id) {
  if (!requests.has(id)) requests.set(id, load(id));
  return requests.get(id);
}

async function load(id) {
  try {
    remember([await getVehicle(id)]);
    return known.get(id);
  } finally {
    requests.delete(id);
  }
}

export const isConnected = ({ connection_status: status }) => status === "connected";

export const modelName = ({ make, model, year }) => [make, model, year].filter(Boolean).join(" ");

export const connectionBadge = ({ connection_status: status }) => badge(status, VEHICLE_LABELS[status] ?? status);

export const vehicleAddress = (id) => `/vehicles/${encodeURIComponent(id)}/`;

export const lastWeekAddress = (id) => `${vehicleAddress(id)}last-week/`;

export function vehicleLink({ vehicle_id: id, vin }) {
  return element("a", { class: "vin", href: vehicleAddress(id) }, vin);
}
