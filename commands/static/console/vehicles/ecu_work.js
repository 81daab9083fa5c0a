// Commands to the ECUs of a vehicle, sent from its page: their responses appear here as they arrive.

import { listCommandTypes, Submission, submitCommand } from "../api.js";
import { commandSummary, statusBadge } from "../command.js";
import { decoded } from "../decoders.js";
import { button, byId, element, showMessage, update } from "../dom.js";
import { explain } from "../labels.js";
import { CommandRun } from "../live/command_run.js";

const MAX_SHOWN = 3; // commands, the newest first
const MAX_RESPONSES = 50; // of one command; its own page has all
const SNAPSHOT = "ReadDTCSnapshot";

/** One command, and its responses while it runs. */
class Work {
  #isSnapshot;
  #run;
  #status;
  #responses = element("ol", {});
  #cancel = button("Cancel", () => this.#run.cancel(), { class: "quiet" });

  constructor(command) {
    this.#isSnapshot = command.command_name === SNAPSHOT;
    this.#run = new CommandRun(command, (event) => this.#received(event));
    this.#status = element("span", { role: "status" }, statusBadge(command));
    const head = element("p", {}, commandSummary(command), this.#status, this.#cancel);
    this.node = element("li", { "data-command": command.command_id }, head, this.#responses);
  }

  async follow() {
    const end = await this.#run.follow();
    this.#cancel.remove();
    if (!this.#isSnapshot) this.#keepLast(); // the list of codes has the others
    const problem = end.detail ?? (end.error_code && explain(end.error_code, end.error_message).join(" "));
    if (problem) this.node.append(element("p", { class: "error" }, problem));
  }

  #keepLast() {
    this.#responses.replaceChildren(...[...this.#responses.children].slice(-1));
  }

  #received({ status, response }) {
    if (status) update(this.#status, statusBadge({ status }));
    if (status === "pending") this.#responses.replaceChildren(); // what an earlier attempt has read does not count
    if (!response) return;
    if (this.#responses.childElementCount >= MAX_RESPONSES) this.#responses.firstChild.remove();
    this.#responses.append(element("li", {}, decoded(response)));
  }
}

export class EcuWork {
  #vehicle = null;
  #setShown;
  #isShown = new Promise((resolve) => {
    this.#setShown = resolve;
  });
  #options;
  #submission = new Submission(submitCommand);
  #confirmation = null; // loaded for the first command that is to be confirmed

  /**
   * onEnd        called when a command has ended
   * readValue    called with the address of an ECU of which a value is to be read
   */
  constructor(options) {
    this.#options = options;
    byId("codes").addEventListener("click", ({ target }) => this.#do(target.closest("[data-do]")?.dataset ?? {}));
    byId("other-ecu")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const address = event.target.elements.ecuAddress.value.trim();
      this.#send("ReadDTC", { ecuAddress: address.startsWith("0x") ? address : `0x${address}` });
    });
  }

  show(vehicle) {
    this.#vehicle = vehicle;
    this.#setShown();
  }

  #do({ do: action, of: ecuAddress, about: dtcCode }) {
    if (action === "read") this.#send("ReadDTC", { ecuAddress });
    if (action === "snapshot") this.#send(SNAPSHOT, { ecuAddress, dtcCode });
    if (action === "clear") this.#clear({ ecuAddress });
    if (action === "value") this.#options.readValue(ecuAddress);
  }

  async #clear(params) {
    const confirmation = await this.#confirm(params).catch((error) => this.#showProblem(error));
    if (confirmation) await this.#send("ClearDTC", params, { confirmation });
  }

  async #confirm(params) {
    const [{ VinConfirmation }, { results: types }] = await Promise.all([
      import("../command_form/vin_confirmation.js"),
      listCommandTypes(),
    ]);
    this.#confirmation ??= new VinConfirmation({ dialog: byId("confirm"), onRead: this.#options.onEnd });
    const type = types.find(({ name }) => name === "ClearDTC");
    return this.#confirmation.ask({ vehicle: this.#vehicle, type, params });
  }

  async #send(name, params, more = {}) {
    await this.#isShown; // an address may be typed before the vehicle is loaded
    const request = { vehicle_id: this.#vehicle.vehicle_id, command_name: name, command_params: params, ...more };
    try {
      const work = new Work(await this.#submission.submit(request));
      showMessage(byId("ecu-problem"), "");
      byId("ecu-work").prepend(work.node);
      while (byId("ecu-work").childElementCount > MAX_SHOWN) byId("ecu-work").lastChild.remove();
      work.node.scrollIntoView({ block: "nearest" }); // the list of codes may be long
      await work.follow();
      this.#options.onEnd();
    } catch (error) {
      this.#showProblem(error);
    }
  }

  #showProblem({ detail, fields = {} }) {
    const text = Object.values(fields).flat().join(" ") || detail;
    showMessage(byId("ecu-problem"), text ?? "The command could not be sent. Reload the page.");
  }
}
