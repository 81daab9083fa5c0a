// The vehicles that the user has opened last in this browser, and those that were pinned.

import { modelName } from "./known_vehicles.js";
import { loadValue, saveValue } from "./site.js";

const RECENT = 8;

const load = (name) => loadValue(name) ?? [];
const without = (vehicles, { vehicle_id: id }) => vehicles.filter((one) => one.vehicle_id !== id);
const short = (vehicle) => ({ vehicle_id: vehicle.vehicle_id, vin: vehicle.vin, model: modelName(vehicle) });

export const pinnedVehicles = () => load("pinned");

/** Those that are not pinned, the latest first. */
export const recentVehicles = () => pinnedVehicles().reduce(without, load("visited"));

export const isPinned = ({ vehicle_id: id }) => pinnedVehicles().some((one) => one.vehicle_id === id);

export function noteVisit(vehicle) {
  if (load("visited")[0]?.vehicle_id === vehicle.vehicle_id) return;
  saveValue("visited", [short(vehicle), ...without(load("visited"), vehicle)].slice(0, RECENT));
}

export function togglePin(vehicle) {
  const others = without(pinnedVehicles(), vehicle);
  saveValue("pinned", isPinned(vehicle) ? others : [...others, short(vehicle)]);
}
