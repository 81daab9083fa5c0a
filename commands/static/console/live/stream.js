// The events of one command, from a position to the end, over as many sockets as that takes.
// This module knows sockets and the protocol, and no page.

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
const OPEN_TIMEOUT_MS = 15_000;
const STABLE_AFTER_MS = 10_000;
const STALLED_AFTER_MS = 5000;

const STOPPING_ERRORS = new Set(["unauthenticated", "not_found", "bad_request"]);
const ENDED_STATUSES = new Set(["completed", "cancelled"]);
const ENDED_ERRORS = new Set(["failed", "timed_out", "expired"]);

/** Follows a command until its terminal event. */
export class StreamFollower {
  #options;
  #position;
  #socket = null;
  #timer = null;
  #attempt = 0;
  #round = 0; // a callback of an earlier round belongs to a socket that was given up
  #openedAt = null;
  #hasEnded = false;
  #reason = null;
  #expected = 0; // highest sequence number that the server is known to have
  #stallTimer = null;

  /**
   * after         highest sequence number that the caller already has
   * getTicket     async, called before each connection. If it rejects with `isPermanent`, the stream ends;
   *               after any other error it is tried again
   * onEvent       each event of the log exactly once, in order
   * onState       {name: "connecting"}
   *               {name: "live"}
   *               {name: "reconnecting", delayMs, error}  the error, if known: a frame, or the error of getTicket
   *               {name: "ended", event}                  the terminal event has arrived
   *               {name: "ended", error}                  it never will: the user may not see it, or is not logged in
   */
  constructor({ after = 0, ...options }) {
    this.#options = options;
    this.#position = after;
    window.addEventListener("online", this.reconnect);
    this.#connect();
  }

  /** Tell that the server has events up to this number. If none of them arrives soon, the socket is dead. */
  expect(number) {
    this.#expected = Math.max(this.#expected, number);
    if (this.#stallTimer === null) this.#watchForStall();
  }

  /** Connect again at once. A socket that is open may be dead without a sign, for example after a change of network. */
  reconnect = () => {
    if (!this.#hasEnded) this.#connect();
  };

  stop() {
    this.#hasEnded = true;
    window.removeEventListener("online", this.reconnect);
    clearTimeout(this.#stallTimer);
    this.#abandon();
  }

  #watchForStall() {
    clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
    if (this.#position >= this.#expected || this.#hasEnded) return;
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = null;
      if (this.#openedAt !== null) this.#retry(null); // otherwise a connection is under way
    }, STALLED_AFTER_MS);
  }

  async #connect() {
    const round = this.#abandon();
    this.#options.onState({ name: "connecting" });
    try {
      const ticket = await this.#options.getTicket();
      if (round === this.#round) this.#open(round, ticket);
    } catch (error) {
      if (round !== this.#round) return;
      if (error.isPermanent) this.#end({ error });
      else this.#retry(error);
    }
  }

  #open(round, ticket) {
    const socket = new WebSocket(this.#url(ticket));
    const current = (handle) => (event) => round === this.#round && handle(event);
    socket.onopen = current(() => this.#opened());
    socket.onmessage = current(({ data }) => this.#receive(data));
    socket.onclose = current(() => this.#retry(this.#reason));
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#retry(null), OPEN_TIMEOUT_MS);
  }

  #url(ticket) {
    const url = new URL(`/ws/responses/${this.#options.commandId}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ ticket, after: this.#position });
    return url.href;
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#openedAt = Date.now();
    this.#watchForStall();
    this.#options.onState({ name: "live" });
  }

  #receive(data) {
    const frame = parse(data);
    if (frame?.sequence_number === 0) this.#receiveProblem(frame);
    else if (frame?.sequence_number > this.#position) this.#advance(frame);
  }

  #advance(event) {
    this.#position = event.sequence_number;
    this.#attempt = 0;
    if (this.#stallTimer !== null) this.#watchForStall();
    try {
      this.#options.onEvent(event);
    } finally {
      if (isTerminal(event)) this.#end({ event });
    }
  }

  /** A frame outside the log. */
  #receiveProblem(frame) {
    if (STOPPING_ERRORS.has(frame.error_code)) this.#end({ error: frame });
    // Only the first time at once: a server that calls every fresh ticket expired must not be hammered.
    else if (frame.error_code === "token_expired") this.#retry(frame, this.#failures() === 0 ? 0 : undefined);
    else this.#reason = frame;
  }

  /** An open socket is no success yet: the server accepts first and refuses then. */
  #failures() {
    if (this.#openedAt !== null && Date.now() - this.#openedAt > STABLE_AFTER_MS) this.#attempt = 0;
    return this.#attempt;
  }

  #retry(error, delayMs = backoff(this.#failures())) {
    this.#attempt += 1;
    this.#abandon();
    if (delayMs === 0) return this.#connect();
    this.#timer = setTimeout(() => this.#connect(), delayMs);
    this.#options.onState({ name: "reconnecting", delayMs, error });
  }

  /** Give the socket up and begin a new round. */
  #abandon() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = this.#openedAt = this.#reason = null;
    this.#round += 1;
    return this.#round;
  }

  #end(outcome) {
    if (this.#hasEnded) return;
    this.stop();
    this.#options.onState({ name: "ended", ...outcome });
  }
}

function isTerminal({ event, status }) {
  return (event === "status" && ENDED_STATUSES.has(status)) || (event === "error" && ENDED_ERRORS.has(status));
}

function backoff(failures) {
  const max = Math.min(FIRST_DELAY_MS * 2 ** failures, MAX_DELAY_MS);
  return max * (0.5 + Math.random() / 2);
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    console.warn("A frame that is not JSON was ignored.");
    return null;
  }
}
