// Work that is repeated while somebody looks.

/**
 * Runs `work` now and `ms` after each run has ended; not while the page is hidden, and at once when it is shown again.
 * `work` shows its own failures. Returns {now(), stop()}.
 */
export function poll(work, ms) {
  let timer = null;
  let running = null;
  let stopped = false;

  async function run() {
    clearTimeout(timer);
    running ??= Promise.resolve(work()).finally(() => (running = null));
    await running;
    clearTimeout(timer);
    if (!stopped && !document.hidden) timer = setTimeout(run, ms);
  }

  const onVisible = () => (document.hidden ? clearTimeout(timer) : run());
  document.addEventListener("visibilitychange", onVisible);
  run();
  return {
    now: run,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
}
