// Work that is repeated while the page is visible, or somebody waits for its end, and its user is logged in.

const MAX_PAUSE_MS = 30_000;

export class Poll {
  #work;
  #ms;
  #goesOn; // while the page is hidden
  #timer = null;
  #running = null;
  #failures = 0;
  #isSignedOut = false;
  #stopping = new AbortController();

  /**
   * Run `work` now, about `ms` after each run, and at once when the page is shown, the network
   * is back or the user is logged in again.
   * `work` shows its own failures and reports one by returning false or rejecting: the pause then doubles, up to 30 s.
   * goesOnHidden() says whether it goes on while the page is hidden.
   */
  constructor(work, ms, goesOnHidden = () => false) {
    this.#work = work;
    this.#ms = ms;
    this.#goesOn = goesOnHidden;
    this.#listen(document, "visibilitychange", () => (this.#isHidden() ? clearTimeout(this.#timer) : this.now()));
    this.#listen(window, "online", () => this.now());
    this.#listen(window, "focus", () => this.#isSignedOut && this.now()); // possibly after a login in another window
    this.#listen(window, "signed-out", () => this.#signedOut());
    this.#listen(window, "signed-in", () => this.#signedIn());
    this.now();
  }

  /** Run the work now, or wait for the run in progress. */
  now = async () => {
    clearTimeout(this.#timer);
    this.#running ??= this.#attempt().finally(() => {
      this.#running = null;
    });
    await this.#running;
    clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted || this.#isHidden() || this.#isSignedOut) return;
    this.#timer = setTimeout(this.now, this.#pause());
  };

  stop() {
    clearTimeout(this.#timer);
    this.#stopping.abort();
  }

  #isHidden() {
    return document.hidden && !this.#goesOn();
  }

  async #attempt() {
    try {
      this.#failures = (await this.#work()) === false ? this.#failures + 1 : 0;
    } catch {
      this.#failures += 1;
    }
  }

  #signedOut() {
    this.#isSignedOut = true;
    clearTimeout(this.#timer);
  }

  #signedIn() {
    this.#isSignedOut = false;
    this.now();
  }

  /** A random part keeps many pages that lost the server from returning all at once. */
  #pause() {
    const max = Math.max(this.#ms, MAX_PAUSE_MS);
    return Math.min(this.#ms * 2 ** this.#failures, max) * (0.9 + Math.random() / 5);
  }

  #listen(target, type, handle) {
    target.addEventListener(type, handle, { signal: this.#stopping.signal });
  }
}
