// One command's events, from a position to the end, over as many sockets as that takes.
// Knows sockets and the protocol, and nothing of pages.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
const OPEN_TIMEOUT_MS = 15_000;
const STABLE_AFTER_MS = 10_000;

const STOPPING_ERRORS = new Set(["unauthenticated", "not_found", "bad_request"]);
const ENDED_STATUSES = new Set(["completed", "cancelled"]);
const ENDED_ERRORS = new Set(["failed", "timed_out", "expired"]);

/**
 * Follow a command until its terminal event.
 *
 * after         highest sequence number that the caller has already shown
 * getTicket     async, called before every connection; rejecting with `permanent: true` ends the stream, with any
 *               other error it is retried
 * onFrame       each event of the log exactly once, in order
 * onState       {name: "connecting"}
 *               {name: "live"}
 *               {name: "reconnecting", delayMs, error}  the error, if known, is a frame or what getTicket rejected with
 *               {name: "ended", frame}                  the terminal event came
 *               {name: "ended", error}                  it never will: nobody may see it, or nobody is logged in
 */
export function followCommand(options) {
  const follower = new Follower(options);
  follower.start();
  return { close: () => follower.stop() };
}

export function isTerminal({ event, status }) {
  return (event === "status" && ENDED_STATUSES.has(status)) || (event === "error" && ENDED_ERRORS.has(status));
}

class Follower {
  #options;
  #position;
  #socket = null;
  #timer = null;
  #attempt = 0;
  #round = 0; // A callback of an earlier round is stale: its socket was given up.
  #openedAt = null;
  #ended = false;
  #reason = null;

  constructor({ after = 0, WebSocketImpl = globalThis.WebSocket, baseUrl = globalThis.location?.href, ...rest }) {
    this.#options = { WebSocketImpl, baseUrl, ...rest };
    this.#position = after;
  }

  start() {
    globalThis.addEventListener?.("online", this.#hurry);
    this.#connect();
  }

  stop() {
    this.#ended = true;
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#abandon();
  }

  #hurry = () => {
    if (this.#openedAt === null) this.#connect();
  };

  async #connect() {
    const round = this.#abandon();
    this.#options.onState({ name: "connecting" });
    try {
      const ticket = await this.#options.getTicket();
      if (round === this.#round) this.#open(round, ticket);
    } catch (error) {
      if (round !== this.#round) return;
      if (error.permanent) this.#end({ error });
      else this.#retry(error);
    }
  }

  #open(round, ticket) {
    const socket = new this.#options.WebSocketImpl(this.#url(ticket));
    const current = (handle) => (event) => round === this.#round && handle(event);
    socket.onopen = current(() => this.#opened());
    socket.onmessage = current(({ data }) => this.#receive(data));
    socket.onclose = current(() => this.#retry(this.#reason));
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#retry(null), OPEN_TIMEOUT_MS);
  }

  #url(ticket) {
    const url = new URL(`/ws/responses/${this.#options.commandId}`, this.#options.baseUrl);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ ticket, after: this.#position });
    return url.href;
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#openedAt = Date.now();
    this.#options.onState({ name: "live" });
  }

  #receive(data) {
    const frame = parse(data);
    if (frame?.sequence_number === 0) this.#outsideTheLog(frame);
    else if (frame?.sequence_number > this.#position) this.#advance(frame);
  }

  #advance(frame) {
    this.#position = frame.sequence_number;
    this.#attempt = 0;
    try {
      this.#options.onFrame(frame);
    } finally {
      if (isTerminal(frame)) this.#end({ frame });
    }
  }

  #outsideTheLog(frame) {
    if (STOPPING_ERRORS.has(frame.error_code)) this.#end({ error: frame });
    // Only the first one at once: a server that calls every fresh ticket expired must not be hammered.
    else if (frame.error_code === "token_expired") this.#retry(frame, this.#failures() === 0 ? 0 : undefined);
    else this.#reason = frame;
  }

  // Being accepted is no progress yet: the server accepts first and refuses then.
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

  #abandon() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = this.#openedAt = this.#reason = null;
    return (this.#round += 1);
  }

  #end(outcome) {
    if (this.#ended) return;
    this.stop();
    this.#options.onState({ name: "ended", ...outcome });
  }
}

function backoff(failures) {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
  return longest * (0.5 + Math.random() / 2);
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    console.warn("A frame that is no JSON was ignored.");
    return null;
  }
}
