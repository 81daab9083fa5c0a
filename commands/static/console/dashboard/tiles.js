// The figures on top: each a number, and details below it.

import { serverNow } from "../api.js";
import { commandAddress } from "../command.js";
import { element, update } from "../dom.js";
import { duration, tenths, whole } from "../format.js";
import { FAILED_QUERY } from "./failures.js";

/** Seconds as text; below one second in milliseconds, where a tenth of a second is too coarse. */
export const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : duration(value * 1000));

/** The length of the period, in words. */
export const spanOf = ({ period }) => ({ "1h": "hour", "24h": "24 hours", "7d": "7 days" })[period];

export function showTiles(root, dashboard) {
  for (const tile of root.querySelectorAll("[data-tile]")) {
    const { figure, detail } = TILES[tile.dataset.tile](dashboard);
    update(tile.querySelector("[data-figure]"), figure);
    update(tile.querySelector("[data-detail]"), detail);
  }
  root.removeAttribute("aria-busy");
}

const TILES = {
  "in-flight": inFlight,
  oldest,
  success,
  latency,
  vehicles,
};

const span = (text) => element("span", {}, text);

const link = (href, ...children) => element("a", { href }, ...children);

function inFlight({ pending, in_progress: running }) {
  return {
    figure: whole(pending + running),
    detail: [
      link("/commands/?status=pending", `${whole(pending)} pending`),
      link("/commands/?status=in_progress", `${whole(running)} in progress`),
    ],
  };
}

function oldest({ oldest_pending: command }) {
  if (!command) return { figure: "–", detail: "No command is waiting" };
  const name = link(commandAddress(command.command_id), command.command_name);
  const vin = element("span", { class: "vin" }, command.vin);
  return { figure: age(command), detail: [name, vin] };
}

const age = ({ submitted_at: at }) => duration(serverNow() - Date.parse(at)).replace(/\.\d/, "");

function success({ outcomes }) {
  const failed = outcomes.failures.reduce((sum, { commands }) => sum + commands, 0);
  if (outcomes.success_rate === null) return { figure: "–", detail: `Nothing ended in the last ${spanOf(outcomes)}` };
  const failures = link(`/commands/?${FAILED_QUERY}&submitted_after=${outcomes.since}`, `${whole(failed)} failed`);
  return {
    figure: `${tenths(Math.floor(outcomes.success_rate * 1000) / 10)} %`, // 100 % only if nothing has failed
    detail: [span(`${whole(outcomes.completed)} completed`), failed ? failures : span("none failed"), capped(outcomes)],
  };
}

const capped = ({ is_capped: isCapped, submitted }) => isCapped && span(`of the newest ${whole(submitted)}`);

function latency({ outcomes }) {
  const { median_seconds: median, p95_seconds: p95 } = outcomes;
  if (median === null) return { figure: "–", detail: `Nothing completed in the last ${spanOf(outcomes)}` };
  return { figure: seconds(median), detail: `95 % within ${seconds(p95)}` };
}

function vehicles({ vehicles: { connected, total } }) {
  const query = "connection_status=disconnected";
  const away = link(`/vehicles/?${query}`, `${whole(total - connected)} not connected`);
  const all = link("/vehicles/", "all vehicles");
  const figure = [whole(connected), element("small", {}, ` of ${whole(total)}`)];
  return { figure, detail: total > connected ? away : all };
}
