// The dashboard: figures, charts and recent failures, updated in place every few seconds.

import { getDashboard, listCommands } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { Poll } from "../poll.js";
import { viewer } from "../site.js";
import { BarChart } from "./bar_chart.js";
import { showFailures } from "./failures.js";
import { LineChart } from "./line_chart.js";
import { showTiles } from "./tiles.js";

const REFRESH_MS = 5000;

const outcomes = new BarChart(byId("outcomes"));
const latency = new LineChart(byId("latency"));
let hasCommands = false;

async function refresh() {
  try {
    const dashboard = await getDashboard();
    showTiles(byId("tiles"), dashboard);
    outcomes.show(dashboard.last_hour.minutes);
    latency.show(dashboard.last_hour.minutes);
    showFailures(dashboard.recent_failures);
    await showWelcome(dashboard);
    showMessage(byId("trouble"), "");
    return true;
  } catch (error) {
    showMessage(byId("trouble"), error.detail ?? "The dashboard could not be shown. Reload the page.");
    return false;
  }
}

/** Tell users of an empty installation where to begin. */
async function showWelcome({ pending, in_progress: running, last_hour: hour, vehicles }) {
  hasCommands ||= pending + running + hour.submitted > 0 || (await listCommands({ page_size: 1 })).results.length > 0;
  byId("welcome").hidden = hasCommands;
  byId("welcome-no-vehicles").hidden = vehicles?.total !== 0; // null for users who may not see vehicles
  if (viewer.canSubmit) byId("welcome-submit").hidden = !vehicles?.total;
}

new Poll(refresh, REFRESH_MS);
