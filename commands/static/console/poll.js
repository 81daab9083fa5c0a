// Work that is repeated while somebody looks.

const LONGEST_PAUSE_MS = 30_000;

/**
 * Runs `work` now and about `ms` after each run has ended; not while the page is hidden or nobody is logged in, and at
 * once when it is shown again or somebody is. `work` shows its own failures, and answers false for one or rejects: the
 * pause then doubles, up to half a minute. Returns {now(), stop()}.
 */
export function poll(work, ms) {
  const over = new AbortController();
  let timer = null;
  let running = null;
  let failures = 0;
  let isSignedOut = false;

  async function run() {
    clearTimeout(timer);
    running ??= attempt().finally(() => (running = null));
    await running;
    clearTimeout(timer);
    if (!over.signal.aborted && !document.hidden && !isSignedOut) timer = setTimeout(run, pause(ms, failures));
  }

  async function attempt() {
    try {
      failures = (await work()) === false ? failures + 1 : 0;
    } catch {
      failures += 1;
    }
  }

  function onSession({ type }) {
    isSignedOut = type === "signed-out";
    if (!isSignedOut) run();
    else clearTimeout(timer);
  }

  const listen = (target, type, handle) => target.addEventListener(type, handle, { signal: over.signal });
  listen(document, "visibilitychange", () => (document.hidden ? clearTimeout(timer) : run()));
  listen(window, "focus", () => isSignedOut && run()); // perhaps after a log-in in another window
  listen(window, "signed-out", onSession);
  listen(window, "signed-in", onSession);
  run();
  return {
    now: run,
    stop() {
      clearTimeout(timer);
      over.abort();
    },
  };
}

/** A little uneven, so that many who lost the server do not come back to it all at once. */
function pause(ms, failures) {
  const longest = Math.max(ms, LONGEST_PAUSE_MS);
  return Math.min(ms * 2 ** failures, longest) * (0.9 + Math.random() / 5);
}
