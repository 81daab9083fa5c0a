// The command that is being watched: its head, its answers, and the stream that brings both.

import { cancelCommand, getCommand, getStreamTicket } from "../api.js";
import { createAnnouncer } from "./announcer.js";
import { createAnswers } from "./answers.js";
import { time } from "../dom.js";
import { createHead } from "./head.js";
import { poll } from "../poll.js";
import { followCommand } from "./stream.js";
import { findVehicle, refreshVehicle } from "../vehicle.js";
import { ENDED, explain, troubleWords } from "../words.js";

const TICK_MS = 100;
const VEHICLE_REFRESH_MS = 5000;
const SHORT_BREAK_MS = 1000;

/** onMove(command) is called with the shown command, as it is after each of its moves. */
export function createLive({ root, onMove }) {
  const part = (name) => root.querySelector(`[data-live=${name}]`);
  const announcer = createAnnouncer(part("news"));
  const answers = createAnswers(part("log"), (count, news) => {
    head.drawCount(count);
    announcer.say(news);
  });
  const head = createHead({ root, onCancel: cancel });
  // {id, command, vehicle, status, startedAt, endedAt, position, connection, tellsThatItWaits, cancelling, stream, vehiclePoll}
  let shown = null;

  function open(id, command = null) {
    leave();
    shown = { id, position: 0, connection: { name: "connecting" }, tellsThatItWaits: false };
    take(shown, command);
    if (command) follow(shown);
    else load(shown);
  }

  function close() {
    leave();
    head.drawEmpty();
  }

  function leave() {
    shown?.stream?.close();
    shown?.vehiclePoll?.stop();
    shown = null;
    answers.clear();
    announcer.clear();
    head.drawCount(0);
    head.tell("");
  }

  function take(target, command) {
    Object.assign(target, { command, startedAt: command?.submitted_at, status: command?.status });
    head.drawCommand(target);
    drawAll();
  }

  async function load(target) {
    try {
      const command = await getCommand(target.id);
      if (target !== shown) return;
      take(target, command);
      follow(target);
    } catch (error) {
      if (target === shown)
        fail(error.status === 404 || error.status === 400 ? explain("not_found").join(" ") : error.detail);
    }
  }

  function follow(target) {
    findVehicle(target.command.vehicle_id).then((vehicle) => drawVehicle(target, vehicle));
    if (!ENDED.has(target.status))
      target.vehiclePoll = poll(() => (ENDED.has(target.status) ? null : askVehicle(target)), VEHICLE_REFRESH_MS);
    const getTicket = () => getStreamTicket(target.id);
    target.stream = followCommand({ commandId: target.id, getTicket, onFrame, onState });
  }

  async function askVehicle(target) {
    drawVehicle(target, await refreshVehicle(target.command.vehicle_id));
  }

  function drawVehicle(target, vehicle) {
    if (target !== shown || !vehicle) return;
    target.vehicle = vehicle;
    head.drawVehicle(vehicle);
    drawWaiting();
  }

  function fail(text) {
    onState({ name: "ended", error: {} });
    head.tell(text, true);
  }

  function onFrame(frame) {
    shown.position = frame.sequence_number;
    answers.show(frame);
    // What the API has told already is no move.
    if (frame.status && frame.sequence_number > (shown.command.last_sequence_number ?? 0)) move(frame);
  }

  function move({ status, timestamp, sequence_number: number }) {
    shown.status = status;
    if (ENDED.has(status)) shown.endedAt = timestamp;
    drawAll();
    if (number > 1) askVehicle(shown).catch(() => {}); // It is asked for again.
    if (ENDED.has(status)) shown.vehiclePoll?.stop();
    onMove({ ...shown.command, status, completed_at: shown.endedAt, last_sequence_number: number });
  }

  function onState(state) {
    shown.connection = { ...state, until: Date.now() + (state.delayMs ?? 0) };
    drawConnection();
    if (state.error || state.delayMs > SHORT_BREAK_MS) head.tell(troubleWords(state), state.name === "ended");
    else if (state.name === "live") stopTelling();
  }

  function drawAll() {
    head.drawState(shown);
    drawConnection();
    drawWaiting();
    head.drawElapsed(shown);
  }

  function drawConnection() {
    const { connection, position, command } = shown;
    const isBehind = connection.name === "live" && position < (command?.last_sequence_number ?? 0);
    head.drawConnection(isBehind ? { connection: { name: "behind" } } : shown);
  }

  function drawWaiting() {
    if (shown.connection.name !== "live") return;
    const { status, vehicle, command } = shown;
    const waits = status === "pending" && Boolean(vehicle) && vehicle.connection_status !== "connected";
    if (waits === shown.tellsThatItWaits) return;
    shown.tellsThatItWaits = waits;
    if (!waits) return head.tell("");
    const limit = command.expires_at ? [" or expires at ", time(command.expires_at)] : [];
    head.tell(["The vehicle is not connected. The command waits until it is back", ...limit, "."]);
  }

  function stopTelling() {
    head.tell("");
    shown.tellsThatItWaits = false;
    drawWaiting();
  }

  async function cancel() {
    const target = shown;
    if (target.cancelling) return;
    target.cancelling = true;
    head.drawState(target);
    try {
      await cancelCommand(target.id);
    } catch (error) {
      if (error.status === 409 || target !== shown) return; // 409: it has ended, and the stream says how.
      target.cancelling = false;
      head.drawState(target);
      head.tell(error.detail, true);
    }
  }

  setInterval(() => {
    if (!shown) return;
    head.drawElapsed(shown);
    drawConnection();
  }, TICK_MS);

  return { open, close, shownId: () => shown?.id ?? null };
}
