// Labels of states, and texts of errors: what happened, and what to do.

export const STATUS_LABELS = {
  pending: "Pending",
  in_progress: "In progress",
  completed: "Completed",
  failed: "Failed",
  timed_out: "Timed out",
  cancelled: "Cancelled",
  expired: "Expired",
};

export const VEHICLE_LABELS = {
  connected: "Connected",
  disconnected: "Disconnected",
  error: "Error",
};

/** Labels of the catalogue's parameters. Any other parameter is shown by its own name. */
export const PARAMETER_LABELS = {
  ecuAddress: "ECU address",
  dtcCode: "DTC",
  statusMask: "Status mask",
  recordNumber: "Record",
  dataId: "DID",
  data: "Data",
  routineId: "Routine",
  action: "Action",
  resetType: "Reset type",
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
    "The vehicle sent a response that cannot be read.",
    "Submit the command again. If it happens again, the ECU's software may be at fault.",
  ],
  worker_lost: [
    "The connection to the vehicle broke off while the command ran.",
    "It may or may not have been carried out. Check the vehicle, for example read its codes, before you repeat it.",
  ],
  vehicle_timeout: [
    "The vehicle did not respond in time.",
    "It may have carried out the command. Check its state before you submit the command again.",
  ],
  wrong_vehicle: [
    "Another vehicle responded at the address of this one.",
    "Nothing was sent to it. Correct the address of the vehicle, then submit the command again.",
  ],
  lock_lost: [
    "The lock under which the command was submitted is gone: it expired, was released or taken over.",
    "Nothing was sent. Take the lock of the vehicle, and submit the command again.",
  ],
  outcome_unknown: [
    "The command was sent, but its outcome is not known.",
    "It may or may not have been carried out. Check the vehicle, for example read its codes, before you repeat it.",
  ],
  expired: ["The command expired before a worker could send it.", "Submit it again when the vehicle is connected."],
  unauthenticated: ["The stream did not accept your login.", "Reload the page or log in again."],
  token_expired: ["The access to the stream has expired.", "It is renewed automatically."],
  not_found: [
    "This command does not exist, or you may not see it.",
    "Check the link, or choose a command from the list.",
  ],
  bad_request: ["The stream did not understand the request.", "Reload the page."],
  too_many_streams: ["You have too many streams open.", "Close another tab of the console."],
  frame_too_large: ["The console sent too much on the stream.", "Reload the page."],
  too_many_frames: ["The console sent too much on the stream.", "Reload the page."],
  unavailable: ["The database does not respond.", "The stream is restored automatically."],
};

// The server's own message has details that only the server knows (how many seconds, whether the command was sent).
// The value is the advice that is added to it.
const EXPLAINED_BY_SERVER = {
  vehicle_timeout: ERRORS.vehicle_timeout[1],
  worker_lost: "",
  lock_lost: "",
  outcome_unknown: "",
  expired: "",
};

export const isExplainedByServer = (code) => Object.hasOwn(EXPLAINED_BY_SERVER, code);

/** [what happened, what to do] for an error code and the server's message, if any. The second may be empty. */
export function explain(code, message = "") {
  const [, fact, rest] = (isExplainedByServer(code) && message.match(/^(.+?\.)(?:\s+(.*))?$/s)) || [];
  if (fact) return [fact, [rest, EXPLAINED_BY_SERVER[code]].filter(Boolean).join(" ")];
  return Object.hasOwn(ERRORS, code) ? ERRORS[code] : ["The command ended with an error.", ""];
}
