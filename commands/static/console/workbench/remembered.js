// What this browser remembers for who is logged in: the parameters that were last used, and choices of view.

import { viewer } from "../site.js";

const keyOf = (name) => `sovd:${viewer.username}:${name}`;

/** null for nothing, also where the browser keeps nothing. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(name)));
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(keyOf(name), JSON.stringify(value));
  } catch {
    // Then it is not remembered: nothing else depends on it.
  }
}
