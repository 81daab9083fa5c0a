// One command while the page shows it: loaded, followed through its stream, cancelled.

import { cancelCommand, getCommand, getStreamTicket, serverNow } from "../api.js";
import { counted, time } from "../format.js";
import { findVehicle, isConnected, refreshVehicle } from "../known_vehicles.js";
import { ENDED, explain } from "../labels.js";
import { StreamFollower } from "../live/stream.js";
import { Poll } from "../poll.js";
import { interruptionText } from "./command_header.js";

const VEHICLE_REFRESH_MS = 5000;
const CHECK_MS = 10_000;
const SHORT_BREAK_MS = 1000;

export class CommandWatch {
  #header;
  #log;
  #codes;
  #onMove;
  #command = null;
  #vehicle = null;
  #stream = null;
  #polls = [];
  #position = 0; // sequence number of the last event that arrived
  #connection = { name: "connecting" };
  #ahead = 0; // commands that the vehicle carries out before this one
  #waitingKey = ""; // of the notice that is shown
  #isCancelling = false;
  #isStopped = false;

  /** onMove is called with the command after each change of its status. */
  constructor({ id, header, log, codes, onMove }) {
    this.id = id;
    this.#header = header;
    this.#log = log;
    this.#codes = codes;
    this.#onMove = onMove;
  }

  /** Follow the command; load it first if it is not given. */
  async start(command) {
    this.#take(command);
    try {
      if (!command) this.#take(await getCommand(this.id));
      if (!this.#isStopped) this.#follow();
    } catch (error) {
      if (this.#isStopped) return;
      const isMissing = error.status === 404 || error.status === 400;
      this.#connectionChanged({ name: "ended", error: {} });
      this.#header.showNotice(isMissing ? explain("not_found").join(" ") : error.detail, true);
    }
  }

  stop() {
    this.#isStopped = true;
    this.#stream?.stop();
    this.#stopPolls();
  }

  /** Compare with the present state of a command. A stream that does not bring it is broken, and connects again. */
  compare(command) {
    if (this.#isStopped || command.command_id !== this.id || !this.#command) return;
    if (command.last_sequence_number > this.#command.last_sequence_number) {
      Object.assign(this.#command, command);
      this.#drawStatus();
    }
    this.#stream?.expect(command.last_sequence_number);
  }

  tick() {
    this.#drawElapsed();
    this.#drawConnection();
  }

  async cancel() {
    if (this.#isCancelling) return;
    this.#setCancelling(true);
    try {
      await cancelCommand(this.id);
    } catch (error) {
      if (this.#isStopped) return;
      if (error.status === 409) return this.#check().catch(() => {}); // it has ended; the poll asks again
      this.#setCancelling(false);
      this.#header.showNotice(error.detail, true);
    }
  }

  #setCancelling(isCancelling) {
    this.#isCancelling = isCancelling;
    this.#header.drawStatus(this.#command, isCancelling);
  }

  #take(command) {
    if (this.#isStopped) return;
    this.#command = command && { ...command };
    this.#log.vehicle = command?.vehicle_id ?? null;
    this.#header.drawCommand(this.id, command);
    this.#drawStatus();
  }

  #follow() {
    this.#log.stickToEnd(!this.#hasEnded());
    findVehicle(this.#command.vehicle_id).then((vehicle) => this.#showVehicle(vehicle));
    if (!this.#hasEnded()) {
      const vehicle = new Poll(() => this.#refreshVehicle(), VEHICLE_REFRESH_MS);
      this.#polls = [vehicle, new Poll(() => this.#check(), CHECK_MS)];
    }
    this.#stream = new StreamFollower({
      commandId: this.id,
      getTicket: () => getStreamTicket(this.id),
      onEvent: (event) => this.#received(event),
      onState: (state) => this.#connectionChanged(state),
    });
    this.#stream.expect(this.#command.last_sequence_number);
  }

  #stopPolls() {
    for (const poll of this.#polls) poll.stop();
  }

  /** The heartbeat: HTTP tells what a dead socket cannot. */
  async #check() {
    try {
      const command = await getCommand(this.id);
      this.#ahead = command.commands_ahead;
      this.compare(command);
      this.#drawWaiting();
    } catch (error) {
      if (error.status === 0 && !this.#isStopped) this.#stream.reconnect(); // the server is unreachable
      throw error;
    }
  }

  async #refreshVehicle() {
    this.#showVehicle(await refreshVehicle(this.#command.vehicle_id));
  }

  #showVehicle(vehicle) {
    if (this.#isStopped || !vehicle) return;
    this.#vehicle = vehicle;
    this.#header.drawVehicle(vehicle);
    this.#drawWaiting();
  }

  #received(event) {
    this.#position = event.sequence_number;
    this.#log.add(event);
    if (this.#hasEnded() && this.#position >= this.#command.last_sequence_number) this.#stopPolls();
    const isNews = event.sequence_number > (this.#command.last_sequence_number ?? 0);
    if (event.status && isNews) this.#move(event);
  }

  #move({ status, timestamp, sequence_number: number }) {
    Object.assign(this.#command, { status, last_sequence_number: number });
    if (status === "in_progress") this.#command.started_at = timestamp;
    if (this.#hasEnded()) this.#command.completed_at = timestamp;
    this.#drawStatus();
    if (number > 1) this.#refreshVehicle().catch(() => {}); // the poll asks again
    if (this.#hasEnded()) {
      this.#stopPolls();
      this.#header.tellEnd(this.#command);
    }
    this.#onMove({ ...this.#command });
  }

  #connectionChanged(state) {
    this.#connection = { ...state, until: Date.now() + (state.delayMs ?? 0) };
    this.#drawConnection();
    if (state.error || state.delayMs > SHORT_BREAK_MS) {
      this.#header.showNotice(interruptionText(state), state.name === "ended");
    } else if (state.name === "live") {
      this.#header.showNotice("");
      this.#waitingKey = "";
      this.#drawWaiting();
    }
  }

  #hasEnded() {
    return ENDED.has(this.#command?.status);
  }

  #drawStatus() {
    if (this.#command) this.#codes.show(this.#command);
    this.#header.drawStatus(this.#command, this.#isCancelling);
    this.#drawConnection();
    this.#drawWaiting();
    this.#drawElapsed();
  }

  #drawElapsed() {
    const isUnknown = this.#connection.name === "ended" && this.#connection.error; // it may or may not still run
    if (this.#command && !isUnknown) this.#header.drawElapsed(this.#command);
  }

  #drawConnection() {
    const isBehind = this.#connection.name === "live" && this.#position < (this.#command?.last_sequence_number ?? 0);
    this.#header.drawConnection(isBehind ? { name: "behind" } : this.#connection);
  }

  /** Tell why the command does not start yet. Other notices stay until the reason changes. */
  #drawWaiting() {
    if (this.#isStopped || this.#connection.name !== "live") return;
    const isPending = this.#command.status === "pending" && this.#vehicle !== null;
    const isAway = isPending && !isConnected(this.#vehicle);
    const isEarly = isPending && Date.parse(this.#command.not_before) > serverNow();
    const ahead = isPending ? this.#ahead : 0;
    const key = isAway || isEarly || ahead ? `${isAway} ${isEarly} ${ahead}` : "";
    if (key === this.#waitingKey) return;
    this.#waitingKey = key;
    this.#header.showNotice([isEarly && this.#earlyText(), isAway && this.#awayText(), ahead > 0 && aheadText(ahead)]);
  }

  #earlyText() {
    return ["It is not sent before ", time(this.#command.not_before), ". "];
  }

  #awayText() {
    const { expires_at: expiry } = this.#command;
    const limit = expiry && [" or expires at ", time(expiry)];
    return ["The vehicle is not connected. The command waits until it is back", limit, ". "];
  }
}

const aheadText = (count) =>
  `${counted(count, "other command")} for this vehicle ${count === 1 ? "runs" : "run"} first.`;
