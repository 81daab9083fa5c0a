// The panel that says how a vehicle is reached and what was found, with the button that tests it.

import { testConnection } from "../api.js";
import { asText, byId, element, showMessage, update } from "../dom.js";
import { counted, time } from "../format.js";

const SOON_MS = 700; // between two looks while a test is due
const LATE_MS = 15_000;
const LATE_TEXT =
  "No worker has done it yet. The vehicle may be busy with a command, or no worker runs for this connector.";

export class ConnectionTest {
  #id;
  #refresh;
  #button = byId("test-connection");
  #askedAt = 0; // 0: nobody waits for a test here

  /** refresh() loads the vehicle again and calls show(). */
  constructor(id, refresh) {
    this.#id = id;
    this.#refresh = refresh;
    this.#button?.addEventListener("click", () => this.start());
  }

  async start() {
    if (!this.#button || this.#askedAt) return;
    this.#setAsked(Date.now());
    try {
      await testConnection(this.#id);
      this.#look();
    } catch (error) {
      this.#setAsked(0);
      this.#say(error.detail, true);
    }
  }

  show(vehicle) {
    update(byId("reached"), reached(vehicle).map(fact));
    showMessage(byId("connection-problem"), vehicle.connection_problem);
    const { probe_requested_at: due, probe_found: found } = vehicle;
    if (due) return this.#say(isLate(this.#askedAt) ? LATE_TEXT : "Testing the connection…");
    if (this.#askedAt) this.#setAsked(0);
    this.#say(found && vehicle.connection_status === "connected" ? finding(vehicle) : "");
  }

  async #look() {
    await this.#refresh();
    if (this.#askedAt) setTimeout(() => this.#look(), SOON_MS);
  }

  #say(content, isError = false) {
    showMessage(byId("test-result"), content, { isError });
  }

  #setAsked(at) {
    this.#askedAt = at;
    this.#button.setAttribute("aria-disabled", String(Boolean(at)));
  }
}

const isLate = (askedAt) => askedAt && Date.now() - askedAt > LATE_MS;

function reached({ connector, connector_settings: settings, probed_at: at }) {
  const values = Object.entries(settings).map(([name, value]) => [
    name.replaceAll("_", " "),
    element("code", {}, asText(value)),
  ]);
  return [["Connector", connector], ...values, ["Last probe", at ? time(at) : "none yet"]];
}

/** The result of the last test in sentences. */
function finding({ probe_found: { vin, gateway, ecus = [], silent_ecus: silent = [] } }) {
  const words = (addresses) => element("code", {}, addresses.join(", "));
  return [
    element(
      "p",
      {},
      element("strong", {}, "The vehicle answers."),
      vin ? ` VIN ${vin}.` : "",
      gateway && ` Gateway ${gateway}.`,
    ),
    ecus.length > 0 && element("p", {}, `${counted(ecus.length, "ECU")} answered: `, words(ecus)),
    silent.length > 0 && element("p", {}, `${counted(silent.length, "ECU")} did not answer: `, words(silent)),
    ecus.length + silent.length === 0 && element("p", {}, "No ECUs are listed. Add them to see which ones answer."),
  ];
}

const fact = ([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
