// The REST API with the session's cookie. Every failure becomes an ApiError whose `detail` can be shown to a person.

const ROOT = "/api/v1/";
const TIMEOUT_MS = 15_000;
const SIGNED_OUT = "Your session has ended. Log in again.";
const SIGNED_OUT_CODES = new Set(["not_authenticated", "authentication_failed"]);

let clockOffsetMs = 0;
let isSignedOut = false; // as far as the last answer tells

/** The server's time, as far as HTTP tells (whole seconds): a laptop's clock may be minutes off. */
export const serverNow = () => Date.now() + clockOffsetMs;

export class ApiError extends Error {
  constructor({ status = 0, code = "error", detail, fields = {} }) {
    super(detail);
    Object.assign(this, { status, code, detail, fields });
  }

  get signedOut() {
    return this.status === 401 || SIGNED_OUT_CODES.has(this.code);
  }

  /** Nobody knows whether the server did it. */
  get uncertain() {
    return this.status === 0 || this.status >= 500;
  }

  /** Asking again will not help. */
  get permanent() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

export const listVehicles = (filters) => get("vehicles/", filters);
export const getVehicle = (id) => get(`vehicles/${encodeURIComponent(id)}/`);
export const listCommandTypes = () => get("command-types/");
export const listCommands = (filters) => get("commands/", filters);
export const getCommand = (id) => get(`commands/${encodeURIComponent(id)}/`);
export const getTroubleCodes = (id) => get(`vehicles/${encodeURIComponent(id)}/trouble-codes/`);
export const cancelCommand = (id) => post(`commands/${encodeURIComponent(id)}/cancel/`);
export const cancelCommands = (ids) => post("commands/cancel/", { command_ids: ids });
export const exportAddress = (format, filters) => `${ROOT}commands/export/${queryOf([["format", format], ...filters])}`;
export const getDashboard = () => get("dashboard/");
export const listBatches = (filters) => get("batches/", filters);
export const getBatch = (id) => get(`batches/${encodeURIComponent(id)}/`);
export const listResults = (id, filters) => get(`batches/${encodeURIComponent(id)}/results/`, filters);
export const cancelBatch = (id) => post(`batches/${encodeURIComponent(id)}/cancel/`);

/** With the same `key` it may be sent again, and nothing runs twice: `is_replayed` then says that it had arrived. */
export const submitCommand = (command, key) => post("commands/", command, { "Idempotency-Key": key });
export const submitBatch = (batch, key) => post("batches/", batch, { "Idempotency-Key": key });

export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-");

/** A `next` link of a list. Only its path counts: behind a proxy it may carry another scheme or host. */
export function getPage(link) {
  const { pathname, search } = new URL(link, location.href);
  return request("GET", pathname + search);
}

/** What opens the stream of one command, once, within seconds. */
export async function getStreamTicket(id) {
  return (await post("stream-tickets/", { command_id: id })).ticket;
}

/** `filters`: an object, or pairs where a name may come more than once. */
const get = (path, filters = {}) => request("GET", ROOT + path + queryOf(filters));

const post = (path, body, headers = {}) => request("POST", ROOT + path, body, headers);

function queryOf(filters) {
  const pairs = Symbol.iterator in filters ? [...filters] : Object.entries(filters);
  const given = pairs.filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function request(method, url, body, more) {
  const response = await send(method, url, body, more);
  noteClock(response);
  const answer = await response.json().catch(() => null);
  if (!isSuccess(response, answer)) throw announced(failure(response, answer));
  announceSession(false);
  return response.headers.has("Idempotent-Replayed") ? { ...answer, is_replayed: true } : answer;
}

const isSuccess = ({ ok, redirected, status }, answer) => ok && !redirected && (answer !== null || status === 204);

async function send(method, url, body, more) {
  const headers = { Accept: "application/json", ...more };
  if (method !== "GET") headers["X-CSRFToken"] = document.querySelector("meta[name=csrf-token]").content;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, {
      method,
      headers,
      body: JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError({
      code: "unreachable",
      detail: "The server cannot be reached. Check your connection.",
    });
  }
}

function noteClock(response) {
  const offset = Date.parse(response.headers.get("Date")) - Date.now();
  if (Number.isFinite(offset)) clockOffsetMs = Math.abs(offset) > 2000 ? offset : 0;
}

function failure(response, answer) {
  const status = response.status;
  if (response.redirected)
    return new ApiError({ status: 401, code: "not_authenticated", detail: SIGNED_OUT });
  if (status === 403 && (!answer?.detail || String(answer.detail).startsWith("CSRF"))) {
    return new ApiError({ status, code: "stale_page", detail: "This page is out of date. Reload it and try again." });
  }
  if (answer?.detail) return new ApiError({ status, ...answer });
  return new ApiError({ status, detail: `The server could not do this (HTTP ${status}).` });
}

function announced(error) {
  if (error.signedOut) {
    error.detail = SIGNED_OUT;
    announceSession(true);
  }
  return error;
}

/** Every page asks again and again: each change is told once. */
function announceSession(hasEnded) {
  if (hasEnded === isSignedOut) return;
  isSignedOut = hasEnded;
  window.dispatchEvent(new Event(hasEnded ? "signed-out" : "signed-in"));
}
