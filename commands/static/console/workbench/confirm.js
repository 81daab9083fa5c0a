// Asks whether a command that changes a vehicle is meant, and for this vehicle: by the end of its VIN.

import { createErased } from "./erased.js";
import { parameters } from "../dom.js";
import { connectionBadge, modelName } from "../vehicle.js";

const CHARACTERS = 6;

/** onRead gets a command that was submitted from here, to read the codes first. */
export function createConfirm({ dialog, onRead }) {
  const part = (name) => dialog.querySelector(`[data-confirm=${name}]`);
  const input = part("vin-end");
  const erased = createErased({ root: part("erased"), onRead });
  let question = null; // {vehicle, answer, given}

  /** Resolves with the last characters of the VIN, or with null when it is not meant. */
  function confirm({ vehicle, type, params }) {
    draw(vehicle, type, params);
    complain("");
    input.value = "";
    dialog.showModal();
    erased.show({ vehicle, type, params });
    return new Promise((answer) => (question = { vehicle, answer, given: null }));
  }

  function draw(vehicle, { name, description }, params) {
    part("heading").textContent = `Send ${name} to this vehicle?`;
    part("what").textContent = description ?? "";
    part("vin").textContent = vehicle.vin;
    part("model").textContent = modelName(vehicle);
    part("presence").replaceChildren(connectionBadge(vehicle));
    part("parameters").replaceChildren(...parameters(params));
    part("send").textContent = `Send ${name}`;
  }

  function check(event) {
    event.preventDefault();
    const expected = question.vehicle.vin.slice(-CHARACTERS);
    if (input.value.trim().toUpperCase() !== expected.toUpperCase()) return refuse();
    question.given = expected;
    dialog.close();
  }

  function refuse() {
    complain(`These are not the last ${CHARACTERS} characters of the VIN above. Is it the vehicle that you mean?`);
    input.select();
  }

  function complain(text) {
    const error = part("error");
    error.textContent = text;
    error.hidden = !text;
    input.setAttribute("aria-invalid", String(Boolean(text)));
  }

  dialog.querySelector("form").addEventListener("submit", check);
  input.addEventListener("input", () => complain(""));
  part("back").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    erased.stop();
    question.answer(question.given);
  });
  return confirm;
}
