// One key for one intended submission: kept for as long as nobody knows whether it arrived.

import { newKey, submitCommand } from "../api.js";

export function createSubmission() {
  let last = null; // {text, key} of the request that has not succeeded yet

  return async function submit(request) {
    const text = JSON.stringify(request);
    if (last?.text !== text) last = { text, key: newKey() };
    try {
      const command = await submitCommand(request, last.key);
      last = null;
      return command;
    } catch (error) {
      if (error.uncertain) error.detail += " Submit again: it will not run twice.";
      throw error;
    }
  };
}
