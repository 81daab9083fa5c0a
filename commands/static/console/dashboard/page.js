// How it goes, at a glance: renewed in place every few seconds.

import { getDashboard, listCommands } from "../api.js";
import { createBars } from "./bars.js";
import { showFailures } from "./failures.js";
import { createLine } from "./line.js";
import { poll } from "../poll.js";
import { showTiles } from "./tiles.js";
import { viewer } from "../site.js";

const REFRESH_MS = 5000;

const byId = (id) => document.getElementById(id);
const bars = createBars(byId("outcomes"));
const line = createLine(byId("latency"));
let wasUsed = false; // somebody has submitted something, sometime

async function refresh() {
  try {
    const dashboard = await getDashboard();
    showTiles(byId("tiles"), dashboard);
    bars.show(dashboard.last_hour.minutes);
    line.show(dashboard.last_hour.minutes);
    showFailures(dashboard.recent_failures);
    await welcome(dashboard);
    complain("");
    return true;
  } catch (error) {
    complain(error.detail ?? "The dashboard could not be shown.");
    return false;
  }
}

/** Who finds nothing at all is told where to begin. */
async function welcome({ pending, in_progress: running, last_hour: hour, vehicles }) {
  wasUsed ||= pending + running + hour.submitted > 0 || (await listCommands({ page_size: 1 })).results.length > 0;
  byId("welcome").hidden = wasUsed;
  byId("welcome-no-vehicles").hidden = vehicles.total > 0;
  if (viewer.canSubmit) byId("welcome-submit").hidden = vehicles.total === 0;
}

function complain(text) {
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

poll(refresh, REFRESH_MS);
