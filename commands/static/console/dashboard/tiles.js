// The figures on top: each a number, and what stands behind it.

import { serverNow } from "../api.js";
import { duration, element, renew } from "../dom.js";
import { FAILED } from "./failures.js";

const whole = new Intl.NumberFormat();
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** Below a second a tenth says little. */
export const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : duration(value * 1000));

export function showTiles(root, dashboard) {
  for (const [name, tell] of Object.entries(TILES)) {
    const tile = root.querySelector(`[data-tile="${name}"]`);
    const { figure, detail } = tell(dashboard);
    renew(tile.querySelector("[data-figure]"), ...[figure].flat());
    renew(tile.querySelector("[data-detail]"), ...[detail].flat());
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

const words = (text) => element("span", {}, text);

const link = (href, ...words) => element("a", { href }, ...words);

function inFlight({ pending, in_progress: running }) {
  return {
    figure: whole.format(pending + running),
    detail: [
      link("/commands/?status=pending", `${whole.format(pending)} pending`),
      link("/commands/?status=in_progress", `${whole.format(running)} in progress`),
    ],
  };
}

function oldest({ oldest_pending: command }) {
  if (!command) return { figure: "–", detail: "Nothing waits" };
  const name = link(`/commands/${command.command_id}/`, command.command_name);
  const vin = element("span", { class: "vin" }, command.vin);
  return { figure: age(command), detail: [name, vin] };
}

const age = ({ submitted_at: at }) => duration(serverNow() - Date.parse(at)).replace(/\.\d/, "");

function success({ last_hour: hour }) {
  const failed = hour.minutes.reduce((sum, minute) => sum + minute.failed, 0);
  if (hour.success_rate === null) return { figure: "–", detail: "Nothing ended in the last hour" };
  const failures = link(`/commands/?${FAILED}&submitted_after=${hour.since}`, `${whole.format(failed)} failed`);
  return {
    figure: `${tenths.format(Math.floor(hour.success_rate * 1000) / 10)} %`, // 100 % only where nothing has failed
    detail: [words(`${whole.format(hour.completed)} completed`), failed ? failures : words("none failed"), capped(hour)],
  };
}

const capped = ({ is_capped: isCapped, submitted }) => isCapped && words(`of the newest ${whole.format(submitted)}`);

function latency({ last_hour: { median_seconds: median, p95_seconds: p95 } }) {
  if (median === null) return { figure: "–", detail: "Nothing completed in the last hour" };
  return { figure: seconds(median), detail: `95 % within ${seconds(p95)}` };
}

function vehicles({ vehicles: { connected, total } }) {
  const away = link("/vehicles/?connection_status=disconnected", `${whole.format(total - connected)} not connected`);
  const all = link("/vehicles/", "all vehicles");
  const figure = [whole.format(connected), element("small", {}, ` of ${whole.format(total)}`)];
  return { figure, detail: total > connected ? [away] : [all] };
}
