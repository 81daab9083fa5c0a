// The command that the page shows: its header, its log, and the stream that fills both.

import { Announcer } from "./announcer.js";
import { CodeTable } from "./code_table.js";
import { CommandHeader } from "./command_header.js";
import { CommandWatch } from "./command_watch.js";
import { EventLog } from "./event_log.js";

const TICK_MS = 100;

export class LiveCommand {
  #announcer;
  #log;
  #header;
  #codes;
  #onMove;
  #watch = null;

  /** onMove is called with the shown command after each change of its status. */
  constructor({ root, onMove }) {
    const part = (name) => root.querySelector(`[data-live=${name}]`);
    this.#onMove = onMove;
    this.#announcer = new Announcer(part("news"));
    this.#log = new EventLog(part("log"), (responses, texts) => {
      this.#header.drawCount(responses);
      this.#announcer.announce(texts);
    });
    this.#codes = new CodeTable(part("codes"));
    this.#header = new CommandHeader({ root, onCancel: () => this.#watch?.cancel() });
    setInterval(() => this.#watch?.tick(), TICK_MS);
  }

  /** The id of the shown command, or null. */
  get id() {
    return this.#watch?.id ?? null;
  }

  open(id, command = null) {
    this.#leave();
    const parts = { header: this.#header, log: this.#log, codes: this.#codes };
    this.#watch = new CommandWatch({ id, ...parts, onMove: this.#onMove });
    this.#watch.start(command);
  }

  /** Compare the shown command with the present state of commands, if it is among them. */
  compare(commands) {
    for (const command of commands) this.#watch?.compare(command);
  }

  close() {
    this.#leave();
    this.#header.drawEmpty();
  }

  #leave() {
    this.#watch?.stop();
    this.#watch = null;
    this.#log.clear();
    this.#codes.clear();
    this.#announcer.clear();
    this.#header.drawCount(0);
    this.#header.showNotice("");
  }
}
