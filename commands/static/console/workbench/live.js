// The command that is being watched: its head (state, connection, time, cancel) and its answers.

import { cancelCommand, getCommand, getStreamTicket, serverNow } from "../api.js";
import { createAnswers } from "./answers.js";
import { badge, duration, element, parameters, plain, submitter, time } from "../dom.js";
import { followCommand } from "./stream.js";
import { connectionBadge, findVehicle, modelName } from "../vehicle.js";
import { ENDED, STATUS_WORDS, connectionWords, explain, troubleWords } from "../words.js";

const TICK_MS = 100;
const SHORT_BREAK_MS = 1000;
const PAGE_TITLE = document.title;

/** onMove(command) is called with the shown command, as it is after each of its moves. */
export function createLive({ root, username, canCancel, onMove }) {
  const part = (name) => root.querySelector(`[data-live=${name}]`);
  const log = part("log");
  const answers = createAnswers(log);
  let shown = null; // {id, command, vehicle, status, startedAt, endedAt, connection, stream}

  function open(id, command = null) {
    close();
    shown = {
      id,
      command,
      status: command?.status,
      startedAt: command?.submitted_at,
      connection: { name: "connecting" },
    };
    root.dataset.state = "open";
    drawHead();
    if (command) follow(shown);
    else load(shown);
  }

  function close() {
    shown?.stream?.close();
    shown = null;
    answers.clear();
    tell("");
    drawEmpty();
  }

  async function load(target) {
    try {
      const command = await getCommand(target.id);
      if (target !== shown) return;
      Object.assign(target, { command, startedAt: command.submitted_at, status: command.status });
      follow(target);
    } catch (error) {
      if (target === shown)
        fail(error.status === 404 || error.status === 400 ? explain("not_found").join(" ") : error.detail);
    }
  }

  function follow(target) {
    findVehicle(target.command.vehicle_id).then((vehicle) => {
      target.vehicle = vehicle;
      if (target === shown) drawHead();
    });
    drawHead();
    const getTicket = () => getStreamTicket(target.id);
    target.stream = followCommand({ commandId: target.id, getTicket, onFrame, onState });
  }

  function fail(text) {
    onState({ name: "ended", error: {} });
    tell(text, true);
  }

  function onFrame(frame) {
    answers.show(frame);
    // What the API has told already is newer than the log's beginning.
    if (frame.status && frame.sequence_number >= (shown.command.last_sequence_number ?? 0)) move(frame);
  }

  function move({ status, timestamp, sequence_number: number }) {
    shown.status = status;
    if (ENDED.has(status)) shown.endedAt = timestamp;
    drawHead();
    onMove({ ...shown.command, status, completed_at: shown.endedAt, last_sequence_number: number });
  }

  function onState(state) {
    shown.connection = { ...state, until: Date.now() + (state.delayMs ?? 0) };
    drawConnection();
    if (state.error || state.delayMs > SHORT_BREAK_MS) tell(troubleWords(state), state.name === "ended");
    else if (state.name === "live") drawWaiting();
  }

  function drawEmpty() {
    root.dataset.state = "empty";
    part("name").textContent = "Live answers";
    for (const name of ["vehicle", "parameters", "status", "connection", "elapsed"]) part(name).replaceChildren();
    part("cancel").hidden = true;
    document.title = PAGE_TITLE;
  }

  function drawHead() {
    const { command, vehicle, status } = shown;
    part("name").textContent = command?.command_name ?? "Command";
    const statusWords = STATUS_WORDS[status] ?? plain(status);
    part("parameters").replaceChildren(
      ...parameters(command?.command_params),
      submitter(command ?? {}, username) || "",
    );
    part("vehicle").replaceChildren(...(vehicle ? describe(vehicle) : []));
    part("status").replaceChildren(...(status ? [badge(status, statusWords)] : []));
    document.title = command ? `${command.command_name} · ${statusWords} · ${PAGE_TITLE}` : PAGE_TITLE;
    drawCancel();
    drawConnection();
    drawWaiting();
    drawElapsed();
  }

  function drawCancel() {
    const cancel = part("cancel");
    const gone = !canCancel || !shown.status || ENDED.has(shown.status);
    if (gone && document.activeElement === cancel) log.focus();
    cancel.hidden = gone;
    cancel.setAttribute("aria-disabled", String(Boolean(shown.cancelling)));
    cancel.textContent = shown.cancelling ? "Cancelling…" : "Cancel";
  }

  function drawConnection() {
    const [kind, words] = connectionWords(shown.connection);
    const place = part("connection");
    if (place.textContent !== words) place.replaceChildren(badge(kind, words));
  }

  function drawWaiting() {
    if (shown.connection.name !== "live") return;
    const { status, vehicle, command } = shown;
    if (status !== "pending" || !vehicle || vehicle.connection_status === "connected") return tell("");
    const limit = command.expires_at ? [" or expires at ", time(command.expires_at)] : [];
    tell(["The vehicle is not connected. The command waits until it is back", ...limit, "."]);
  }

  function drawElapsed() {
    const { startedAt, endedAt, status, command, connection } = shown;
    if (connection.name === "ended" && connection.error) return; // Nobody knows whether it still runs.
    const end = Date.parse(endedAt ?? command?.completed_at) || (ENDED.has(status) ? NaN : serverNow());
    const elapsed = end - Date.parse(startedAt);
    part("elapsed").textContent = Number.isFinite(elapsed) ? duration(elapsed) : "";
  }

  function tell(content, isError = false) {
    const notice = part("notice");
    notice.replaceChildren(...[content].flat().filter(Boolean));
    notice.hidden = !notice.textContent;
    notice.classList.toggle("error", isError);
  }

  async function cancel() {
    const target = shown;
    if (target.cancelling) return;
    target.cancelling = true;
    drawHead();
    try {
      await cancelCommand(target.id);
    } catch (error) {
      if (error.status === 409 || target !== shown) return; // 409: it has ended, and the stream says how.
      target.cancelling = false;
      drawHead();
      tell(error.detail, true);
    }
  }

  part("cancel").addEventListener("click", cancel);
  setInterval(() => {
    if (!shown) return;
    drawElapsed();
    drawConnection();
  }, TICK_MS);

  return {
    open,
    close,
    shownId: () => shown?.id ?? null,
    refreshVehicles(vehicles) {
      const fresh = vehicles.find(({ vehicle_id: id }) => id === shown?.vehicle?.vehicle_id);
      if (!fresh) return;
      shown.vehicle = fresh;
      drawHead();
    },
  };
}

function describe(vehicle) {
  const vin = element("span", { class: "vin" }, vehicle.vin);
  return [vin, element("span", { class: "muted" }, modelName(vehicle)), connectionBadge(vehicle)];
}
