// The button that pins the vehicle: the palette then offers it first.

import { byId } from "../dom.js";
import { isPinned, noteVisit, togglePin } from "../visits.js";

const pin = byId("pin");
let shown = null;

export function showPin(vehicle) {
  shown = vehicle;
  noteVisit(vehicle);
  draw();
}

function draw() {
  pin.hidden = false;
  pin.setAttribute("aria-pressed", String(isPinned(shown)));
}

pin.addEventListener("click", () => {
  togglePin(shown);
  draw();
});
