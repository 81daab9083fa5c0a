// The scan of the whole vehicle: started here, and followed on the page of its command.

import { reportAddress, Submission, submitCommand } from "../api.js";
import { commandAddress } from "../command.js";
import { byId, showMessage } from "../dom.js";

/** Let the button start a scan. There is none for users who may not send commands. */
export function offerScan(vehicleId) {
  const button = document.getElementById("scan");
  const submission = new Submission(submitCommand);
  button?.addEventListener("click", () => start(button, submission, vehicleId));
}

async function start(button, submission, vehicleId) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  try {
    const request = { vehicle_id: vehicleId, command_name: "ScanVehicle", command_params: {} };
    location.assign(commandAddress((await submission.submit(request)).command_id));
  } catch (error) {
    button.ariaDisabled = "false";
    showMessage(byId("scan-problem"), error.detail ?? "The scan could not be sent. Reload the page.", {
      isError: true,
    });
  }
}

/** Link the report of the last scan that the user may see. */
export function showReport(vehicleId, scans) {
  const last = scans.find(({ command_id: id }) => id !== null);
  const link = byId("report");
  link.hidden = !last;
  byId("last-week").hidden = !last;
  if (last) link.href = reportAddress(vehicleId, last.command_id);
}
