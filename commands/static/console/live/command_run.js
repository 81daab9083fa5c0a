// One command that a page sends and follows in place, through its stream, to its end.

import { cancelCommand, getStreamTicket } from "../api.js";
import { StreamFollower } from "./stream.js";

export class CommandRun {
  #id;
  #stream = null;
  #onEvent;
  #resolve;
  #hasStarted = false;
  #hasEnded = false;

  /** onEvent is called with each event, in order. */
  constructor(command, onEvent) {
    this.#id = command.command_id;
    this.#onEvent = onEvent;
  }

  /** Resolve with the terminal event, with the error for which the stream cannot be followed, or with null if stopped. */
  follow() {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#stream = new StreamFollower({
        commandId: this.#id,
        getTicket: () => getStreamTicket(this.#id),
        onEvent: (event) => this.#received(event),
        onState: ({ name, event, error }) => name === "ended" && this.#end(event ?? error),
      });
    });
  }

  /** Follow it no longer. It goes on, unless it still waits: then it is cancelled. */
  stop() {
    this.#end(null);
  }

  cancel() {
    return cancelCommand(this.#id).catch(() => {}); // it may have ended; the stream brings what happened
  }

  #received(event) {
    this.#hasStarted ||= event.status === "in_progress";
    this.#onEvent(event);
  }

  #end(outcome) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#stream?.stop();
    if (outcome === null && !this.#hasStarted) this.cancel();
    this.#resolve(outcome);
  }
}
