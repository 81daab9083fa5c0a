// Commands to the ECUs of a vehicle, sent from its page: their responses appear here as they arrive.

import { listCommandTypes } from "../api.js";
import { byId } from "../dom.js";
import { SentCommands } from "../live/sent_commands.js";

export class EcuWork {
  #vehicle = null;
  #setShown;
  #isShown = new Promise((resolve) => {
    this.#setShown = resolve;
  });
  #options;
  #sent = new SentCommands({ list: byId("ecu-work"), problem: byId("ecu-problem") });
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
    if (action === "snapshot") this.#send("ReadDTCSnapshot", { ecuAddress, dtcCode });
    if (action === "clear") this.#clear({ ecuAddress });
    if (action === "value") this.#options.readValue(ecuAddress);
  }

  async #clear(params) {
    const confirmation = await this.#confirm(params).catch((error) => this.#sent.showProblem(error));
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
    if (await this.#sent.send(request)) this.#options.onEnd();
  }
}
