// Words about the import of a description.

import { badge } from "../dom.js";
import { counted } from "../format.js";

const STATES = {
  importing: ["in_progress", "Importing"],
  ready: ["completed", "Ready"],
  refused: ["failed", "Refused"],
};

export const stateBadge = ({ state }) => badge(...(STATES[state] ?? ["pending", state]));

export const descriptionAddress = (id) => `/descriptions/${encodeURIComponent(id)}/`;

export function usage({ ecu_count: ecus, vehicle_count: vehicles }) {
  return ecus ? `${counted(ecus, "ECU")} of ${counted(vehicles, "vehicle")}` : "no ECU";
}
