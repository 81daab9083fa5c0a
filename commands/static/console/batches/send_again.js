// The button that sends the command of a batch again to the vehicles where it failed, as a new batch.

import { getPage, listCommandTypes, listResults, Submission, submitBatch } from "../api.js";
import { batchAddress } from "../command.js";
import { byId, showMessage } from "../dom.js";
import { whole } from "../format.js";
import { isConnected } from "../known_vehicles.js";
import { viewer } from "../site.js";
import { BatchConfirmation } from "./batch_confirmation.js";

const FAILED = ["failed", "timed_out", "expired"];
const PAGE_SIZE = 100;

export class SendAgain {
  #id;
  #batch = null;
  #button = byId("send-again");
  #confirmation;

  constructor(id) {
    this.#id = id;
    const submission = new Submission(submitBatch);
    this.#confirmation = new BatchConfirmation({
      dialog: byId("confirm"),
      send: (request) => submission.submit(request),
      onSent: ({ batch_id: sent }) => location.assign(batchAddress(sent)),
      onRefused: ({ detail, fields = {} }) => this.#showError(Object.values(fields).flat().join(" ") || detail),
    });
    this.#button.addEventListener("click", () => this.#ask());
  }

  /** Offer it when the batch has ended. */
  show(batch, failed) {
    this.#batch = batch;
    this.#button.hidden = !viewer.canSubmit || !batch.has_ended || !failed;
    this.#button.textContent = `Send again to the ${whole(failed)} that failed…`;
  }

  async #ask() {
    this.#showError("");
    try {
      const [vehicles, type] = await Promise.all([this.#failedVehicles(), this.#type()]);
      const ids = vehicles.map(({ vehicle_id: id }) => id);
      const { name, reason, command_name, command_params, stop_above_failed_percent } = this.#batch;
      const command = { name, reason, command_name, command_params, stop_above_failed_percent };
      const request = { ...command, vehicle_ids: ids, vehicle_count: ids.length };
      const disconnected = vehicles.filter((vehicle) => !isConnected(vehicle)).length;
      this.#confirmation.ask({ request, type, count: ids.length, disconnected });
    } catch (error) {
      this.#showError(error.detail ?? "The vehicles could not be loaded. Reload the page.");
    }
  }

  async #failedVehicles() {
    const vehicles = [];
    for (const status of FAILED) {
      let page = await listResults(this.#id, { status, page_size: PAGE_SIZE });
      vehicles.push(...page.results);
      while (page.next) {
        page = await getPage(page.next);
        vehicles.push(...page.results);
      }
    }
    return vehicles.map(({ vehicle }) => vehicle);
  }

  async #type() {
    const { results } = await listCommandTypes();
    return results.find(({ name }) => name === this.#batch.command_name) ?? { name: this.#batch.command_name };
  }

  #showError(text) {
    showMessage(byId("send-again-error"), text);
  }
}
