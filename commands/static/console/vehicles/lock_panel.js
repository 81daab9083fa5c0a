// The panel of the vehicle's lock: who holds it and until when, with the buttons to take, release and take it over.

import { releaseLock, takeLock } from "../api.js";
import { byId, showMessage } from "../dom.js";
import { time } from "../format.js";

const SECONDS = 600;
const FREE = "Nobody holds the lock. While somebody does, only they can clear, write, control and reset.";

export class LockPanel {
  #id;
  #refresh;
  #user = byId("lock").dataset.user;
  #dialog = byId("lock-dialog");
  #holder = ""; // as last shown

  /** refresh() loads the vehicle again and calls show(). */
  constructor(id, refresh) {
    this.#id = id;
    this.#refresh = refresh;
    byId("lock-take")?.addEventListener("click", () => this.#do(() => takeLock(id, SECONDS)));
    byId("lock-release")?.addEventListener("click", () => this.#do(() => releaseLock(id)));
    byId("lock-take-over")?.addEventListener("click", () => this.#ask());
    byId("lock-dialog-not").addEventListener("click", () => this.#dialog.close());
    byId("lock-dialog-do").addEventListener("click", () => this.#takeOver());
  }

  show({ lock }) {
    this.#holder = lock?.holder ?? "";
    const isOwn = this.#holder === this.#user;
    byId("lock-state").replaceChildren(
      ...(lock ? [isOwn ? "You hold" : `${this.#holder} holds`, " it until ", time(lock.expires_at), "."] : [FREE]),
    );
    this.#offer("lock-take", !lock || isOwn, isOwn ? "Hold it for 10 more minutes" : "Take the lock for 10 minutes");
    this.#offer("lock-release", isOwn, "Release it");
    this.#offer("lock-take-over", Boolean(lock) && !isOwn, "Take it over");
  }

  #offer(name, isOffered, text) {
    const button = byId(name);
    if (!button) return;
    button.hidden = !isOffered;
    button.textContent = text;
  }

  #ask() {
    byId("lock-dialog-words").textContent =
      `${this.#holder} may be at work on this vehicle. What they have queued under the lock will not be sent, and this is written to the audit.`;
    this.#dialog.showModal();
  }

  async #takeOver() {
    this.#dialog.close();
    await this.#do(() => takeLock(this.#id, SECONDS, true));
  }

  async #do(action) {
    try {
      await action();
      showMessage(byId("lock-problem"), "");
    } catch (error) {
      showMessage(byId("lock-problem"), error.detail ?? "The lock could not be changed. Try again.");
    }
    await this.#refresh();
  }
}
