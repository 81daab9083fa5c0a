// The REST API with the session's cookie. Every failure becomes an ApiError with a `detail` to show to the user.

const ROOT = "/api/v1/";
const TIMEOUT_MS = 15_000;
const SIGNED_OUT_TEXT = "Your session has ended. Log in again.";
const SIGNED_OUT_CODES = new Set(["not_authenticated", "authentication_failed"]);

let clockOffsetMs = 0;
let isSignedOut = false; // according to the last response

/** The server's time in whole seconds, from its HTTP headers: a laptop's clock may be minutes off. */
export const serverNow = () => Date.now() + clockOffsetMs;

export class ApiError extends Error {
  constructor({ status = 0, code = "error", detail, fields = {} }) {
    super(detail);
    Object.assign(this, { status, code, detail, fields });
  }

  get isSignedOut() {
    return this.status === 401 || SIGNED_OUT_CODES.has(this.code);
  }

  /** Whether the server may have done it. */
  get isUncertain() {
    return this.status === 0 || this.status >= 500;
  }

  /** Whether another attempt cannot help. */
  get isPermanent() {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

export const listVehicles = (filters) => get("vehicles/", filters);
export const getVehicle = (id) => get(`vehicles/${encodeURIComponent(id)}/`);
export const addVehicle = (vehicle) => post("vehicles/", vehicle);
export const changeVehicle = (id, changes) => request("PATCH", `${ROOT}vehicles/${encodeURIComponent(id)}/`, changes);
export const retireVehicle = (id) => post(`vehicles/${encodeURIComponent(id)}/retire/`);
export const restoreVehicle = (id) => post(`vehicles/${encodeURIComponent(id)}/restore/`);
export const changeTags = (change) => post("vehicles/tags/", change);
export const listTags = () => get("vehicles/tags/");
export const previewTags = (choice) => post("vehicles/tags/preview/", choice);
export const listNotes = (id) => get(`vehicles/${encodeURIComponent(id)}/notes/`);
export const addNote = (id, text) => post(`vehicles/${encodeURIComponent(id)}/notes/`, { text });
export const deleteNote = (id, noteId) =>
  request("DELETE", `${ROOT}vehicles/${encodeURIComponent(id)}/notes/${encodeURIComponent(noteId)}/`);
export const listViews = (filters) => get("views/", filters);
export const saveView = (view) => post("views/", view);
export const changeView = (id, changes) => request("PATCH", `${ROOT}views/${encodeURIComponent(id)}/`, changes);
export const deleteView = (id) => request("DELETE", `${ROOT}views/${encodeURIComponent(id)}/`);
export const listWebhooks = () => get("webhooks/");
export const addWebhook = (webhook) => post("webhooks/", webhook);
export const changeWebhook = (id, changes) => request("PATCH", `${ROOT}webhooks/${encodeURIComponent(id)}/`, changes);
export const testWebhook = (id) => post(`webhooks/${encodeURIComponent(id)}/test/`);
export const newWebhookSecret = (id) => post(`webhooks/${encodeURIComponent(id)}/secret/`);
export const deleteWebhook = (id) => request("DELETE", `${ROOT}webhooks/${encodeURIComponent(id)}/`);
export const listDeliveries = (id, filters) => get(`webhooks/${encodeURIComponent(id)}/deliveries/`, filters);
export const testConnection = (id) => post(`vehicles/${encodeURIComponent(id)}/probe/`);
export const takeLock = (id, seconds, takeOver = false) =>
  post(`vehicles/${encodeURIComponent(id)}/lock/`, { expires_in_seconds: seconds, take_over: takeOver });
export const releaseLock = (id) => request("DELETE", `${ROOT}vehicles/${encodeURIComponent(id)}/lock/`);
export const listNames = (id, filters) => get(`vehicles/${encodeURIComponent(id)}/names/`, filters);
export const listPastValues = (id, filters) => get(`vehicles/${encodeURIComponent(id)}/values/`, filters);
export const listDescriptions = (filters = { page_size: "100" }) => get("descriptions/", filters);
export const getDescription = (id) => get(`descriptions/${encodeURIComponent(id)}/`);
export const deleteDescription = (id) => request("DELETE", `${ROOT}descriptions/${encodeURIComponent(id)}/`);
export const listConnectors = () => get("connectors/");
export const listCommandTypes = () => get("command-types/");
export const listCommands = (filters) => get("commands/", filters);
export const getCommand = (id) => get(`commands/${encodeURIComponent(id)}/`);
export const getTroubleCodes = (id) => get(`vehicles/${encodeURIComponent(id)}/trouble-codes/`);
export const getComparison = (id) => get(`commands/${encodeURIComponent(id)}/trouble-codes/`);
export const cancelCommand = (id) => post(`commands/${encodeURIComponent(id)}/cancel/`);
export const cancelCommands = (ids) => post("commands/cancel/", { command_ids: ids });
export const transcriptAddress = (id) => `${ROOT}commands/${encodeURIComponent(id)}/transcript/`;
export const reportAddress = (vehicleId, scanId) =>
  `${ROOT}vehicles/${encodeURIComponent(vehicleId)}/report/${queryOf({ after: scanId })}`;
export const exportAddress = (format, filters) => `${ROOT}commands/export/${queryOf([["format", format], ...filters])}`;
export const getDashboard = (period) => get("dashboard/", { period });
export const getFrequentCodes = (period) => get("dashboard/trouble-codes/", { period });
export const listBatches = (filters) => get("batches/", filters);
export const previewBatch = (choice) => post("batches/preview/", choice);
export const getBatch = (id) => get(`batches/${encodeURIComponent(id)}/`);
export const listResults = (id, filters) => get(`batches/${encodeURIComponent(id)}/results/`, filters);
export const getSummary = (id) => get(`batches/${encodeURIComponent(id)}/summary/`);
export const listCampaigns = (filters) => get("campaigns/", filters);
export const previewCampaign = (plan) => post("campaigns/preview/", plan);
export const writeCampaign = (plan, key) => post("campaigns/", plan, { "Idempotency-Key": key });
export const getCampaign = (id) => get(`campaigns/${encodeURIComponent(id)}/`);
export const stepCampaign = (id, step) => post(`campaigns/${encodeURIComponent(id)}/${step}/`);
export const cancelBatch = (id) => post(`batches/${encodeURIComponent(id)}/cancel/`);

/** Submit a command. Repeated with the same `key` it does not run twice: `is_replayed` then tells that it had arrived. */
export const submitCommand = (command, key) => post("commands/", command, { "Idempotency-Key": key });
export const submitBatch = (batch, key) => post("batches/", batch, { "Idempotency-Key": key });

/** Upload a file with `onProgress(share)`, which fetch cannot tell. It may take as long as it gets on. */
export function uploadDescription(file, onProgress) {
  const upload = new XMLHttpRequest();
  const body = new FormData();
  body.append("file", file);
  return new Promise((resolve, reject) => {
    upload.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    upload.addEventListener("error", () => reject(unreachable()));
    upload.addEventListener("load", () => {
      const { status, response } = upload;
      if (status === 202 && response) return resolve(response);
      return reject(announced(failure({ status, redirected: false }, response)));
    });
    upload.open("POST", `${ROOT}descriptions/`);
    upload.responseType = "json";
    upload.setRequestHeader("Accept", "application/json");
    upload.setRequestHeader("X-CSRFToken", csrfToken());
    upload.send(body);
  });
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-");

/** Load the page of a list behind a link. Only its path counts: behind a proxy it may have another scheme or host. */
export function getPage(link) {
  const { pathname, search } = new URL(link, location.href);
  return request("GET", pathname + search);
}

/** Load a file that may take long: {blob, name}. A file that is cut off on the way is an error. */
export async function downloadFile(url) {
  const response = await fetch(url, { credentials: "same-origin" }).catch(() => null);
  if (!response) throw unreachable();
  if (!response.ok || response.redirected) throw announced(failure(response, await response.json().catch(() => null)));
  const [, name] = response.headers.get("Content-Disposition")?.match(/filename="(.+)"/) ?? [];
  try {
    return { blob: await response.blob(), name };
  } catch {
    throw new ApiError({ code: "incomplete", detail: "The export broke off and was not saved. Try again." });
  }
}

/** Get a ticket: it opens the stream of one command, once, within seconds. */
export async function getStreamTicket(id) {
  return (await post("stream-tickets/", { command_id: id })).ticket;
}

/** `filters`: an object, or pairs if a name comes more than once. */
const get = (path, filters = {}) => request("GET", ROOT + path + queryOf(filters));

const post = (path, body, headers = {}) => request("POST", ROOT + path, body, headers);

function queryOf(filters) {
  const pairs = Symbol.iterator in filters ? [...filters] : Object.entries(filters);
  const given = pairs.filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function request(method, url, data, more) {
  const response = await send(method, url, data, more);
  noteClock(response);
  const body = await response.json().catch(() => null);
  if (!isSuccess(response, body)) throw announced(failure(response, body));
  announceSession(false);
  return response.headers.has("Idempotent-Replayed") ? { ...body, is_replayed: true } : body;
}

const isSuccess = ({ ok, redirected, status }, body) => ok && !redirected && (body !== null || status === 204);

async function send(method, url, data, more) {
  const headers = { Accept: "application/json", ...more };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (data !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, {
      method,
      headers,
      body: JSON.stringify(data),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw unreachable();
  }
}

function unreachable() {
  return new ApiError({ code: "unreachable", detail: "The server cannot be reached. Check your connection." });
}

/** The token in the cookie: after a login in another tab, the one in the page is out of date. */
function csrfToken() {
  const [, token] = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/) ?? [];
  return token ?? document.querySelector("meta[name=csrf-token]").content;
}

function noteClock(response) {
  const offset = Date.parse(response.headers.get("Date")) - Date.now();
  if (Number.isFinite(offset)) clockOffsetMs = Math.abs(offset) > 2000 ? offset : 0;
}

function failure(response, body) {
  const status = response.status;
  if (response.redirected) return new ApiError({ status: 401, code: "not_authenticated", detail: SIGNED_OUT_TEXT });
  if (status === 403 && (!body?.detail || String(body.detail).startsWith("CSRF"))) {
    return new ApiError({ status, code: "stale_page", detail: "This page is out of date. Reload it and try again." });
  }
  if (body?.detail) return new ApiError({ status, ...body });
  return new ApiError({ status, detail: `The server could not do this (HTTP ${status}). Try again later.` });
}

function announced(error) {
  if (error.isSignedOut) {
    error.detail = SIGNED_OUT_TEXT;
    announceSession(true);
  }
  return error;
}

/** Announce each change once, although every page polls. */
function announceSession(hasEnded) {
  if (hasEnded === isSignedOut) return;
  isSignedOut = hasEnded;
  window.dispatchEvent(new Event(hasEnded ? "signed-out" : "signed-in"));
}

// --- Submissions that can be repeated safely: one idempotency key for one intended request

export const KEPT_MINUTES = 5;

export class Submission {
  #send;
  #open = new Map(); // by the text of a request without a response: {key, at}

  /** send(request, key) does the sending. */
  constructor(send) {
    this.#send = send;
  }

  /** Send the request. The same request after a failure has the same key for some minutes, so it runs only once. */
  async submit(request) {
    const text = JSON.stringify(request);
    const response = await this.#send(request, this.#keyFor(text));
    this.#open.delete(text);
    return response;
  }

  #keyFor(text) {
    const now = Date.now();
    for (const [known, { at }] of this.#open) if (now - at > KEPT_MINUTES * 60_000) this.#open.delete(known);
    const key = this.#open.get(text)?.key ?? newKey();
    this.#open.set(text, { key, at: now });
    return key;
  }
}
