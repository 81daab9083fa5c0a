// The trouble codes that a ClearDTC would erase, as last read, with a way to read them first.

import { getCommand, getTroubleCodes, Submission, submitCommand } from "../api.js";
import { asText, badge, element, reconcile, showMessage } from "../dom.js";
import { counted, time } from "../format.js";
import { ENDED, explain, STATUS_LABELS } from "../labels.js";
import { Poll } from "../poll.js";
import { bySubmitter, clearedSince } from "../trouble_codes.js";

const READ = "ReadDTC";
const CLEAR = "ClearDTC";
const REFRESH_MS = 700;

export class ClearPreview {
  #root;
  #onRead;
  #submission = new Submission(submitCommand);
  #shown = null; // {vehicle, params, reading}: a Poll, or true while the read is submitted

  constructor({ root, onRead }) {
    this.#root = root;
    this.#onRead = onRead;
    this.#part("read").addEventListener("click", () => this.#read());
  }

  show({ vehicle, type, params }) {
    this.#root.hidden = type.name !== CLEAR;
    if (this.#root.hidden) return;
    this.#shown = { vehicle, params, reading: null };
    reconcile(this.#part("codes"), []);
    this.#part("read").hidden = true;
    this.#say("Loading the codes as last read…");
    this.#load(this.#shown);
  }

  stop() {
    this.#stopReading(this.#shown);
    this.#shown = null;
  }

  #part(name) {
    return this.#root.querySelector(`[data-preview=${name}]`);
  }

  async #load(target) {
    try {
      const codes = await getTroubleCodes(target.vehicle.vehicle_id);
      if (target === this.#shown) this.#draw(target.params, codes);
    } catch (error) {
      if (target !== this.#shown) return;
      this.#say(`The stored codes could not be loaded. ${error.detail ?? ""}`, true);
      this.#offerRead("Read the codes first");
    }
  }

  #draw({ ecuAddress, dtcCode }, { control_units: units, stored, timeline }) {
    const unit = units.find((one) => isSameEcu(one.ecu_address, ecuAddress));
    if (!unit) {
      this.#say(`The codes of ECU address ${asText(ecuAddress)} were not read yet. Read them first.`);
      return this.#offerRead("Read the codes first");
    }
    const codes = stored.filter((code) => isSameEcu(code.ecu_address, ecuAddress) && isMeant(code.dtc_code, dtcCode));
    reconcile(this.#part("codes"), codes.map(codeLine));
    const cleared = clearedSince(unit, timeline);
    const clear = cleared && [" Cleared ", time(cleared.at), bySubmitter(cleared.submitted_by), "."];
    const read = [" Last read ", time(unit.read_at), bySubmitter(unit.submitted_by), "."];
    this.#say([summary(codes, dtcCode), read, clear]);
    this.#offerRead("Read them again");
  }

  async #read() {
    const target = this.#shown;
    if (target.reading) return;
    target.reading = true;
    this.#part("read").setAttribute("aria-disabled", "true");
    this.#say("Reading the codes…");
    try {
      const { ecuAddress } = target.params;
      const request = { vehicle_id: target.vehicle.vehicle_id, command_name: READ, command_params: { ecuAddress } };
      const command = await this.#submission.submit(request);
      this.#onRead(command);
      if (target === this.#shown) target.reading = new Poll(() => this.#follow(target, command.command_id), REFRESH_MS);
    } catch (error) {
      if (target === this.#shown) this.#giveUp(target, error.detail);
    }
  }

  async #follow(target, id) {
    const command = await this.#command(target, id);
    if (target !== this.#shown) return;
    if (!ENDED.has(command.status))
      return this.#say(`Reading the codes: ${STATUS_LABELS[command.status].toLowerCase()}…`);
    this.#stopReading(target);
    if (command.status === "completed") this.#load(target);
    else this.#giveUp(target, `The codes could not be read. ${explainEnd(command)}`);
  }

  /** An error that another attempt can mend is left to the poll. */
  async #command(target, id) {
    try {
      return await getCommand(id);
    } catch (error) {
      if (error.isPermanent && !error.isSignedOut && target === this.#shown) this.#giveUp(target, error.detail);
      throw error;
    }
  }

  #giveUp(target, text) {
    this.#stopReading(target);
    this.#say(text, true);
    this.#offerRead("Read the codes first");
  }

  #stopReading(target) {
    if (target?.reading instanceof Poll) target.reading.stop();
    if (target) target.reading = null;
  }

  #offerRead(label) {
    const button = this.#part("read");
    button.textContent = label;
    button.hidden = false;
    button.removeAttribute("aria-disabled");
  }

  #say(content, isError = false) {
    showMessage(this.#part("message"), content, { isError });
  }
}

const explainEnd = ({ status, error_code: code, error_message: message }) =>
  code ? explain(code, message).join(" ") : `The command is ${STATUS_LABELS[status].toLowerCase()}.`;

/** Whether it is the same ECU, in any spelling. */
const isSameEcu = (found, wanted) => Number(found) === Number(wanted);

/** Whether a code is meant: without failure type byte a parameter stands for all of its base, without any for all. */
const isMeant = (found, wanted) => wanted === undefined || [found, found.slice(0, 5)].includes(wanted.toUpperCase());

function summary(codes, dtcCode) {
  if (codes.length === 0) return dtcCode ? `${dtcCode} was not stored.` : "No trouble code was stored.";
  return `${counted(codes.length, "trouble code")} ${codes.length === 1 ? "is" : "are"} to be erased.`;
}

function codeLine({ dtc_code: code, description, confirmed }) {
  return element(
    "li",
    {},
    element("code", {}, asText(code)),
    element("span", { class: "vehicle-text" }, asText(description ?? "")),
    typeof confirmed === "boolean" &&
      badge(confirmed ? "confirmed" : "unconfirmed", confirmed ? "Confirmed" : "Not confirmed"),
  );
}
