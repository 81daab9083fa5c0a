// What states and errors are called on the page: what happened, and what to do.

export const STATUS_WORDS = {
  pending: "Pending",
  in_progress: "In progress",
  completed: "Completed",
  failed: "Failed",
  timed_out: "Timed out",
  cancelled: "Cancelled",
  expired: "Expired",
};

export const VEHICLE_WORDS = {
  connected: "Connected",
  disconnected: "Disconnected",
  error: "Error",
};

/** Those that the catalogue names so; others are shown by their own name. */
export const PARAMETER_WORDS = {
  ecuAddress: "ECU address",
  dtcCode: "DTC",
  dataId: "DID",
};

export const ENDED = new Set(["completed", "failed", "timed_out", "cancelled", "expired"]);

const ERRORS = {
  vehicle_unreachable: [
    "The vehicle could not be reached.",
    "Check that it is switched on and has a connection, then submit the command again.",
  ],
  vehicle_refused: [
    "The vehicle refused the command.",
    "Check the parameters and the state of the vehicle (ignition, engine, session), then submit it again.",
  ],
  malformed_answer: [
    "The vehicle sent an answer that cannot be read.",
    "Submit the command again. If it happens again, the ECU's software may be at fault.",
  ],
  worker_lost: [
    "The connection to the vehicle broke off while the command ran.",
    "It may or may not have been carried out. Look at the vehicle, for example read its codes, before you repeat it.",
  ],
  vehicle_timeout: [
    "The vehicle did not answer in time.",
    "The vehicle may have carried it out all the same: look at its state before you submit it again.",
  ],
  expired: [
    "The command expired before a worker could send it.",
    "Submit it again when the vehicle is connected.",
  ],
  unauthenticated: ["The stream did not accept your log-in.", "Reload the page or log in again."],
  token_expired: ["The stream's access has expired.", "It is renewed by itself."],
  not_found: ["There is no such command, or you may not see it.", "Check the link, or choose a command from the list."],
  bad_request: ["The stream did not understand the request.", "Reload the page."],
  too_many_streams: ["You have too many streams open.", "Close another tab of the console."],
};

// The server's own message tells what only it knows: after how many seconds, whether it was sent. What is to be added.
const TOLD_BY_SERVER = { vehicle_timeout: ERRORS.vehicle_timeout[1], worker_lost: "", expired: "" };

export const isToldByServer = (code) => Object.hasOwn(TOLD_BY_SERVER, code);

/** [what happened, what to do] for an error code, and for the server's message if it is there; the second may be empty. */
export function explain(code, message = "") {
  const [, what, rest] = (isToldByServer(code) && message.match(/^(.+?\.)(?:\s+(.*))?$/s)) || [];
  if (what) return [what, [rest, TOLD_BY_SERVER[code]].filter(Boolean).join(" ")];
  return Object.hasOwn(ERRORS, code) ? ERRORS[code] : ["The command ended with an error.", ""];
}

/** [kind of badge, words] for the connection to the stream; `until` is when the next attempt is made. None once the
 * stream has come to its end: the command's own state says that. */
export function connectionWords({ name, until, error }) {
  const seconds = Math.ceil((until - Date.now()) / 1000);
  if (name === "live") return ["live", "Live"];
  if (name === "connecting") return ["connecting", "Connecting…"];
  if (name === "behind") return ["connecting", "Catching up…"];
  if (name === "ended") return error ? ["stopped", "Stopped"] : ["", ""];
  return ["reconnecting", seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…"];
}

/** Why the stream is interrupted or stopped. */
export function troubleWords({ name, error }) {
  if (error?.error_code) return explain(error.error_code).join(" ");
  return name === "ended"
    ? (error.detail ?? "")
    : "The connection is lost. It comes back by itself, and nothing is missed.";
}
