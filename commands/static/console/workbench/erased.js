// What a command would erase: the trouble codes as last read, and a way to read them first.

import { getCommand, getTroubleCodes, submitCommand } from "../api.js";
import { arrange, badge, element, plain, time } from "../dom.js";
import { poll } from "../poll.js";
import { createSubmission } from "../submission.js";
import { ENDED, STATUS_WORDS, explain } from "../words.js";

const READING = "ReadDTC";
const ERASING = "ClearDTC";
const WAIT_MS = 700;

export function createErased({ root, onRead }) {
  const part = (name) => root.querySelector(`[data-erased=${name}]`);
  const submit = createSubmission(submitCommand);
  let shown = null; // {vehicle, params, reading: the poll of a read that is under way}

  function show({ vehicle, type, params }) {
    root.hidden = type.name !== ERASING;
    if (root.hidden) return;
    shown = { vehicle, params };
    arrange(part("codes"), []);
    part("read").hidden = true;
    say("Looking up the codes as last read…");
    load(shown);
  }

  function stop() {
    shown?.reading?.stop();
    shown = null;
  }

  async function load(target) {
    try {
      const answer = await getTroubleCodes(target.vehicle.vehicle_id);
      if (target === shown) draw(target.params, answer);
    } catch (error) {
      if (target !== shown) return;
      say(`What is stored could not be looked up. ${error.detail ?? ""}`, true);
      offer("Read the codes first");
    }
  }

  function draw({ ecuAddress, dtcCode }, { control_units: units, stored }) {
    const unit = units.find((one) => isSame(one.ecu_address, ecuAddress));
    if (!unit) {
      say(`The codes of ECU address ${plain(ecuAddress)} were not read yet: read the codes first.`);
      return offer("Read the codes first");
    }
    const codes = stored.filter((code) => isSame(code.ecu_address, ecuAddress) && isSame(code.dtc_code, dtcCode));
    arrange(part("codes"), codes.map(codeLine));
    say([summary(codes, dtcCode), " Last read ", time(unit.read_at), ` by ${unit.submitted_by}.`]);
    offer("Read them again");
  }

  async function read() {
    const target = shown;
    if (target.reading) return;
    target.reading = { stop() {} };
    part("read").setAttribute("aria-disabled", "true");
    say("Reading the codes…");
    try {
      const { ecuAddress } = target.params;
      const request = { vehicle_id: target.vehicle.vehicle_id, command_name: READING, command_params: { ecuAddress } };
      const command = await submit(request);
      onRead(command);
      if (target === shown) target.reading = poll(() => lookHowItGoes(target, command.command_id), WAIT_MS);
    } catch (error) {
      if (target === shown) giveUp(error.detail);
    }
  }

  async function lookHowItGoes(target, id) {
    const command = await getCommand(id).catch((error) => doWithout(target, error));
    if (target !== shown) return;
    if (!ENDED.has(command.status)) return say(`Reading the codes: ${STATUS_WORDS[command.status].toLowerCase()}…`);
    target.reading.stop();
    target.reading = null;
    if (command.status === "completed") load(target);
    else giveUp(`The codes could not be read. ${explainEnd(command)}`);
  }

  /** Asked for again, unless that will not help. */
  function doWithout(target, error) {
    if (error.permanent && !error.signedOut) {
      target.reading?.stop();
      if (target === shown) giveUp(error.detail);
    }
    throw error;
  }

  function giveUp(text) {
    shown.reading = null;
    say(text, true);
    offer("Read the codes first");
  }

  function offer(label) {
    const button = part("read");
    button.textContent = label;
    button.hidden = false;
    button.removeAttribute("aria-disabled");
  }

  function say(content, isError = false) {
    const message = part("message");
    if (typeof content === "string" && message.textContent === content) return;
    message.replaceChildren(...[content].flat());
    message.classList.toggle("error", isError);
  }

  part("read").addEventListener("click", read);
  return { show, stop };
}

const explainEnd = ({ status, error_code: code, error_message: message }) =>
  code ? explain(code, message).join(" ") : `It is ${STATUS_WORDS[status].toLowerCase()}.`;

/** A parameter that is not given means all. */
const isSame = (found, wanted) => wanted === undefined || plain(found).toLowerCase() === plain(wanted).toLowerCase();

function summary(codes, dtcCode) {
  if (codes.length === 0) return dtcCode ? `${dtcCode} was not stored.` : "No trouble code was stored.";
  return `${codes.length} trouble code${codes.length === 1 ? " is" : "s are"} to be erased.`;
}

function codeLine({ dtc_code: code, description, confirmed }) {
  return element(
    "li",
    {},
    element("code", {}, plain(code)),
    element("span", { class: "vehicle-text" }, plain(description ?? "")),
    typeof confirmed === "boolean" &&
      badge(confirmed ? "confirmed" : "unconfirmed", confirmed ? "Confirmed" : "Not confirmed"),
  );
}
