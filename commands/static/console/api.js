// The REST API with the session's cookie. Every failure becomes an ApiError whose `detail` can be shown to a person.

const ROOT = "/api/v1/";
const TIMEOUT_MS = 15_000;
const SIGNED_OUT_CODES = new Set(["not_authenticated", "authentication_failed"]);

let clockOffsetMs = 0;

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

export const listVehicles = (search) => get("vehicles/", { search });
export const getVehicle = (id) => get(`vehicles/${encodeURIComponent(id)}/`);
export const listCommandTypes = () => get("command-types/");
export const listCommands = (filters) => get("commands/", filters);
export const getCommand = (id) => get(`commands/${encodeURIComponent(id)}/`);
export const submitCommand = (command) => request("POST", `${ROOT}commands/`, command);
export const cancelCommand = (id) => request("POST", `${ROOT}commands/${encodeURIComponent(id)}/cancel/`);

/** A `next` link of a list. Only its path counts: behind a proxy it may carry another scheme or host. */
export function getPage(link) {
  const { pathname, search } = new URL(link, location.href);
  return request("GET", pathname + search);
}

/** What opens the stream of one command, once, within seconds. */
export async function getStreamTicket(id) {
  return (await request("POST", `${ROOT}stream-tickets/`, { command_id: id })).ticket;
}

function get(path, filters = {}) {
  const given = Object.entries(filters).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return request("GET", ROOT + path + query);
}

async function request(method, url, body) {
  const response = await send(method, url, body);
  noteClock(response);
  const answer = await response.json().catch(() => null);
  if (response.ok && !response.redirected && answer !== null) return answer;
  if (response.ok && response.status === 204) return null;
  throw announced(failure(response, answer));
}

async function send(method, url, body) {
  const headers = { Accept: "application/json" };
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
    return new ApiError({ status: 401, code: "not_authenticated", detail: "You are logged out." });
  if (status === 403 && (!answer?.detail || String(answer.detail).startsWith("CSRF"))) {
    return new ApiError({ status, code: "stale_page", detail: "This page is out of date. Reload it and try again." });
  }
  if (answer?.detail) return new ApiError({ status, ...answer });
  return new ApiError({ status, detail: `The server could not do this (HTTP ${status}).` });
}

function announced(error) {
  if (error.signedOut) window.dispatchEvent(new Event("signed-out"));
  return error;
}
