// One key for one intended submission: kept while nobody knows whether it arrived, but not until the same is meant anew.

import { newKey } from "./api.js";

export const KEPT_MINUTES = 5;

/** submit(request): with the same request again, within minutes of one that failed, nothing runs twice. */
export function createSubmission(send) {
  const open = new Map(); // by the text of a request that has not succeeded: {key, at}

  function keyFor(text) {
    const now = Date.now();
    for (const [known, { at }] of open) if (now - at > KEPT_MINUTES * 60_000) open.delete(known);
    const key = open.get(text)?.key ?? newKey();
    open.set(text, { key, at: now });
    return key;
  }

  return async function submit(request) {
    const text = JSON.stringify(request);
    const answer = await send(request, keyFor(text));
    open.delete(text);
    return answer;
  };
}
