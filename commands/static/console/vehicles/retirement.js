// The button that takes a vehicle out of use, or into use again.

import { restoreVehicle, retireVehicle } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { time } from "../format.js";

export class Retirement {
  #id;
  #onChange;
  #isRetired = false;
  #button = byId("retire"); // only for users who may change the vehicle

  constructor(id, onChange) {
    this.#id = id;
    this.#onChange = onChange;
    this.#button?.addEventListener("click", () => this.#change());
  }

  show({ retired_at: at }) {
    this.#isRetired = Boolean(at);
    byId("vehicle").toggleAttribute("data-retired", this.#isRetired);
    const text = at && ["Retired since ", time(at), ". It is hidden from lists, not probed, and sent no new commands."];
    showMessage(byId("retired"), text);
    if (!this.#button) return;
    this.#button.hidden = false;
    this.#button.textContent = this.#isRetired ? "Restore" : "Retire";
  }

  async #change() {
    try {
      await (this.#isRetired ? restoreVehicle : retireVehicle)(this.#id);
      this.#onChange();
    } catch (error) {
      showMessage(byId("retired"), error.detail, { isError: true });
    }
  }
}
