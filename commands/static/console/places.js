// The places to which the palette leads: {label, about, key} with an address to go to, or with `act`.

import { listBatches, listCampaigns, listCommands, listVehicles, listViews } from "./api.js";
import { batchAddress, commandAddress, statusLabel } from "./command.js";
import { counted } from "./format.js";
import { lastWeekAddress, modelName, vehicleAddress } from "./known_vehicles.js";
import { pageActions } from "./page_keys.js";
import { viewer } from "./site.js";
import { pinnedVehicles, recentVehicles } from "./visits.js";

const FOUND = 5; // of a kind
const LISTED = 50; // among which a name is looked for
const PAGES = [
  ["Dashboard", "/", "d"],
  ["Vehicles", "/vehicles/", "v"],
  ["Commands", "/commands/", "c"],
  ["Batches", "/batches/", "b"],
  ["Campaigns", "/campaigns/", "m"],
  ["Descriptions", "/descriptions/"],
  ...(viewer.canHaveWebhooks ? [["Webhooks", "/webhooks/"]] : []),
  ["Your account", "/accounts/"],
];
const FORMS = [
  ["New command", "/commands/new/", "n"],
  ["New batch", "/batches/new/"],
  ["New campaign", "/campaigns/new/"],
];

let named = null; // saved views, batches and campaigns, once somebody searches

/** What is found at once, and with it all the rest later. */
export function findAnything(text) {
  const now = text ? [...actions(text), ...pages(text)] : [];
  return { now, later: text ? search(text, now) : startingPoints() };
}

/** Vehicles alone, each with the address for it. */
export function findVehicles(text, addressFor) {
  const now = text ? [] : keptVehicles(addressFor);
  const later = text ? loadVehicles(text).then((found) => found.map((one) => vehiclePlace(one, addressFor))) : now;
  return { now, later };
}

async function startingPoints() {
  named = null;
  return [...keptVehicles(), ...actions(""), ...(await findCommands("")), ...pages("")];
}

async function search(text, first) {
  const kinds = [namedPlaces(text), loadVehicles(text).then(vehiclePlaces), findCommands(text)];
  return [first, ...(await Promise.all(kinds))].flat();
}

const matcher = (text) => (name) => name.toLowerCase().includes(text.toLowerCase());

// --- Pages and actions

const actions = (text) =>
  pageActions()
    .filter(({ label }) => matcher(text)(label))
    .map((action) => ({ ...action, about: "on this page" }));

function pages(text) {
  const found = [...PAGES, ...(viewer.canSubmit ? FORMS : [])].filter(([label]) => matcher(text)(label));
  return found.map(([label, address, key]) => ({ label, about: "page", address, key }));
}

// --- Vehicles

/** Those that are pinned, then those that were opened last. */
const keptVehicles = (addressFor = vehicleAddress) => [
  ...pinnedVehicles().map((vehicle) => vehiclePlace(vehicle, addressFor, "pinned")),
  ...recentVehicles().map((vehicle) => vehiclePlace(vehicle, addressFor, "recent")),
];

function vehiclePlace(vehicle, addressFor, kept) {
  const about = [modelName(vehicle), kept].filter(Boolean).join(" · ");
  return { label: vehicle.vin, about, address: addressFor(vehicle.vehicle_id) };
}

const loadVehicles = (search) => results(listVehicles({ search, page_size: FOUND }));

/** The vehicles; below the first, which is the best match, what can be done with it. */
function vehiclePlaces([first, ...others]) {
  const places = others.map((vehicle) => vehiclePlace(vehicle, vehicleAddress));
  return first ? [vehiclePlace(first, vehicleAddress), ...doings(first), ...places] : places;
}

function doings({ vehicle_id: id, vin }) {
  const form = `/commands/new/?vehicle=${id}`;
  const commands = [
    { label: `New command for ${vin}`, address: form },
    { label: `Scan all ECUs of ${vin}`, address: `${form}&command=ScanVehicle` },
  ];
  const compare = { label: `Compare ${vin} with last week`, address: lastWeekAddress(id) };
  return [...(viewer.canSubmit ? commands : []), compare];
}

// --- Commands, and what has a name

async function findCommands(search) {
  const found = await results(listCommands({ search, page_size: FOUND }));
  return found.map(({ command_id: id, command_name: name, vin, status, result }) => ({
    label: `${name} ${vin}`,
    about: result || statusLabel(status),
    address: commandAddress(id),
  }));
}

async function namedPlaces(text) {
  const matches = matcher(text);
  named ??= loadNamed();
  const lists = await named;
  return lists.flatMap((places) => places.filter(({ label }) => matches(label)).slice(0, FOUND));
}

async function loadNamed() {
  const asked = { page_size: LISTED };
  const lists = [listViews({ page_size: 100 }), listBatches(asked), listCampaigns(asked)];
  const [views, batches, campaigns] = await Promise.all(lists.map(results));
  return [views.map(viewPlace), batches.map(batchPlace), campaigns.map(campaignPlace)];
}

const viewPlace = ({ name, page, query }) => ({ label: name, about: `view of ${page}`, address: `/${page}/?${query}` });

function batchPlace({ batch_id: id, name, command_name: command, vehicle_count: count }) {
  const label = name || `Batch ${command}`;
  return { label, about: `batch, ${counted(count, "vehicle")}`, address: batchAddress(id) };
}

function campaignPlace({ campaign_id: id, command_name: command, vehicle_count: count, state }) {
  const about = `${state.replaceAll("_", " ")}, ${counted(count, "vehicle")}`;
  return { label: `Campaign ${command}`, about, address: `/campaigns/${encodeURIComponent(id)}/` };
}

/** The results of a list, or none: the palette then offers what the others find. */
const results = (loading) =>
  loading.then(
    (page) => page.results,
    () => [],
  );
