// A bounded series of reads of one identifier. Each read is an ordinary command, and the next waits for its end.

import { Submission, submitCommand } from "../api.js";
import { explain } from "../labels.js";
import { CommandRun } from "../live/command_run.js";

export const MAX_READS = 100;
const MAX_MINUTES = 30;
const WAITS_SECONDS = 60; // for a vehicle that is away; then the read expires, and the series stops
const TOO_MANY = 429;

export class ValueSeries {
  #request;
  #options;
  #submission = new Submission(submitCommand);
  #run = null;
  #timer = null;
  #isStopped = false;
  #endPause = () => {};

  /**
   * reads        how many at most
   * seconds      between the starts of two
   * onValue      called with {response, at, command_id} for each value
   * onEnd        called once, with the reason as text, and whether it is an error
   */
  constructor({ vehicleId, params, ...options }) {
    this.#request = { vehicle_id: vehicleId, command_name: "ReadDataByID", command_params: params };
    this.#request.expires_in_seconds = WAITS_SECONDS;
    this.#options = options;
    this.#repeat();
  }

  stop(reason = "Stopped.", isError = false) {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#endPause();
    this.#run?.stop();
    this.#options.onEnd(reason, isError);
  }

  async #repeat() {
    const { reads, seconds } = this.#options;
    const end = Date.now() + MAX_MINUTES * 60_000;
    for (let count = 1; !this.#isStopped && Date.now() < end; count += 1) {
      const due = Date.now() + seconds * 1000;
      await this.#read().catch((error) => this.#failed(error));
      if (count === reads) return this.stop(reads > 1 ? `Stopped after ${reads} reads.` : "");
      await this.#pause(due - Date.now());
    }
    this.stop(`Stopped after ${MAX_MINUTES} minutes.`);
  }

  async #read() {
    const command = await this.#submission.submit(this.#request);
    if (this.#isStopped) return;
    let data = null;
    this.#run = new CommandRun(command, ({ response, timestamp }) => {
      if (response?.type === "data") data = { response, at: timestamp, command_id: command.command_id };
    });
    const end = await this.#run.follow();
    if (end === null) return;
    if (end.status === "completed" && data) this.#options.onValue(data);
    if (end.status !== "completed") this.stop(endText(end), true);
  }

  /** A server that limits submissions lets the series go on, later. */
  #failed({ status, detail, fields = {} }) {
    if (status === TOO_MANY && this.#options.reads > 1) return;
    this.stop(Object.values(fields).flat().join(" ") || detail, true);
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      this.#endPause = resolve;
      this.#timer = setTimeout(resolve, Math.max(0, milliseconds));
    });
  }
}

function endText({ status, error_code: code, error_message: message, detail }) {
  if (status === "cancelled") return "Stopped: the read was cancelled.";
  return detail ?? ["Stopped.", ...explain(code, message)].join(" ");
}
