// The dashboard: figures, charts and recent failures, updated in place every few seconds.

import { getDashboard, getFrequentCodes, listCommands } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { Poll } from "../poll.js";
import { viewer } from "../site.js";
import { BarChart } from "./bar_chart.js";
import { showCodes, showReasons } from "./counts.js";
import { showFailures } from "./failures.js";
import { LineChart } from "./line_chart.js";
import { showTiles, spanOf } from "./tiles.js";

const REFRESH_MS = 5000;
const SLOW_REFRESH_MS = 60_000; // of what many commands are read for

const { period } = byId("tiles").dataset;
const outcomeChart = new BarChart(byId("outcomes"));
const latencyChart = new LineChart(byId("latency"));
let hasCommands = false;

async function refresh() {
  try {
    const dashboard = await getDashboard(period);
    const { outcomes } = dashboard;
    showTiles(byId("tiles"), dashboard);
    outcomeChart.show(outcomes);
    latencyChart.show(outcomes);
    showReasons(outcomes);
    showFailures(dashboard.recent_failures, spanOf(outcomes));
    await showWelcome(dashboard);
    showMessage(byId("trouble"), "");
    return true;
  } catch (error) {
    showMessage(byId("trouble"), error.detail ?? "The dashboard could not be shown. Reload the page.");
    return false;
  }
}

/** Tell users of an empty installation where to begin. */
async function showWelcome({ pending, in_progress: running, outcomes, vehicles }) {
  hasCommands ||=
    pending + running + outcomes.submitted > 0 || (await listCommands({ page_size: 1 })).results.length > 0;
  byId("welcome").hidden = hasCommands;
  byId("welcome-no-vehicles").hidden = vehicles?.total !== 0; // null for users who may not see vehicles
  if (viewer.canSubmit) byId("welcome-submit").hidden = !vehicles?.total;
}

async function refreshCodes() {
  const { results } = await getFrequentCodes(period);
  showCodes(results, spanOf({ period }));
}

new Poll(refresh, period === "1h" ? REFRESH_MS : SLOW_REFRESH_MS);
new Poll(refreshCodes, SLOW_REFRESH_MS);
