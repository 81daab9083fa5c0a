// The dialog that asks whether a command that changes a vehicle is meant for it, by the end of its VIN.

import { parameters } from "../command.js";
import { showFieldError } from "../dom.js";
import { connectionBadge, modelName } from "../known_vehicles.js";
import { ClearPreview } from "./clear_preview.js";

const CHARACTERS = 6;

export class VinConfirmation {
  #dialog;
  #input;
  #preview;
  #question = null; // {vehicle, resolve, confirmation}

  /** onRead is called with a command that reads the codes and was submitted from the dialog. */
  constructor({ dialog, onRead }) {
    this.#dialog = dialog;
    this.#input = this.#part("vin-end");
    this.#preview = new ClearPreview({ root: this.#part("preview"), onRead });
    dialog.querySelector("form").addEventListener("submit", (event) => this.#check(event));
    this.#input.addEventListener("input", () => this.#showError(""));
    this.#part("back").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      this.#preview.stop();
      this.#question.resolve(this.#question.confirmation);
    });
  }

  /** Resolve with the last characters of the VIN, or with null when the user goes back. */
  ask({ vehicle, type, params }) {
    this.#draw(vehicle, type, params);
    this.#showError("");
    this.#input.value = "";
    this.#dialog.showModal();
    this.#preview.show({ vehicle, type, params });
    return new Promise((resolve) => {
      this.#question = { vehicle, resolve, confirmation: null };
    });
  }

  #part(name) {
    return this.#dialog.querySelector(`[data-confirm=${name}]`);
  }

  #draw(vehicle, { name, description }, params) {
    this.#part("heading").textContent = `Send ${name} to this vehicle?`;
    this.#part("description").textContent = description ?? "";
    this.#part("vin").textContent = vehicle.vin;
    this.#part("model").textContent = modelName(vehicle);
    this.#part("connection").replaceChildren(connectionBadge(vehicle));
    this.#part("parameters").replaceChildren(...parameters(params));
    this.#part("send").textContent = `Send ${name}`;
  }

  #check(event) {
    event.preventDefault();
    const expected = this.#question.vehicle.vin.slice(-CHARACTERS);
    if (this.#input.value.trim().toUpperCase() !== expected.toUpperCase()) return this.#refuse();
    this.#question.confirmation = expected;
    this.#dialog.close();
  }

  #refuse() {
    this.#showError(
      `These are not the last ${CHARACTERS} characters of the VIN above. Check that you mean this vehicle.`,
    );
    this.#input.select();
  }

  #showError(text) {
    showFieldError(this.#input, this.#part("error"), text);
  }
}
