// The panel that reads a value of the vehicle once or again and again, and shows the values of earlier reads.

import { listCommandTypes, listPastValues } from "../api.js";
import { Suggestions } from "../command_form/suggestions.js";
import { byId, showMessage } from "../dom.js";
import { counted } from "../format.js";
import { ParameterField } from "../parameter_field.js";
import { loadValue, saveValue } from "../site.js";
import { MAX_READS, ValueSeries } from "./value_series.js";
import { ValueView, valuesOf } from "./value_view.js";

const READ = "ReadDataByID";

export class ValuePanel {
  #id;
  #vehicle = null;
  #form = byId("values-form");
  #fields = [];
  #series = null;
  #reads = [];
  #shownFor = ""; // the parameters that were read, as text
  #view = new ValueView(byId("series"));
  #past = new ValueView(byId("past-values"));

  constructor(id) {
    this.#id = id;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(event.submitter.value);
    });
    window.addEventListener("pagehide", () => this.#series?.stop());
    this.#loadFields();
  }

  show(vehicle) {
    this.#vehicle = vehicle;
  }

  /** Propose this ECU, and let the user choose what to read. */
  propose(ecuAddress) {
    const [ecu, did] = this.#fields;
    ecu?.fill(ecuAddress);
    did?.focus();
  }

  #do(action) {
    if (action === "past") this.#showPast();
    else if (action === "series" && this.#series) this.#series.stop();
    else this.#start(action === "series" ? MAX_READS : 1);
  }

  async #loadFields() {
    try {
      const { results: types } = await listCommandTypes();
      const { properties } = types.find(({ name }) => name === READ).schema;
      this.#fields = Object.entries(properties).map(([name, schema]) => new ParameterField(name, schema, true));
      byId("values-fields").replaceChildren(...this.#fields.map(({ row }) => row));
      for (const field of this.#fields) field.fill(loadValue(READ)?.[field.name]);
      new Suggestions(this.#form, { chosen: () => (this.#vehicle ? [this.#vehicle] : []) });
    } catch (error) {
      this.#say(error.detail ?? "The fields could not be loaded. Reload the page.", true);
    }
  }

  /** The parameters in the fields, or null if one is wrong. */
  #params() {
    const wrong = this.#fields.filter((field) => !field.check());
    wrong[0]?.focus();
    if (wrong.length || !this.#fields.length) return null;
    const params = Object.fromEntries(this.#fields.map((field) => [field.name, field.value()]));
    saveValue(READ, params);
    return params;
  }

  #start(reads) {
    const params = this.#params();
    const every = byId("series-seconds");
    if (!params || !every.reportValidity()) return;
    this.#series?.stop();
    this.#begin(params);
    const seconds = every.valueAsNumber;
    this.#say(reads === 1 ? "Reading…" : `Reading every ${counted(seconds, "second")}, at most ${reads} times…`);
    this.#series = new ValueSeries({
      vehicleId: this.#id,
      params,
      reads,
      seconds,
      onValue: (data) => this.#add(data),
      onEnd: (reason, isError) => this.#ended(reason, isError),
    });
    this.#offerStop(reads > 1);
  }

  /** The values of another identifier are not drawn beside each other. */
  #begin(params) {
    const text = JSON.stringify(params);
    if (text === this.#shownFor) return;
    this.#shownFor = text;
    this.#reads = [];
    this.#view.clear();
    this.#past.clear();
  }

  #add({ response, at, command_id }) {
    this.#reads.push({ at, command_id, values: valuesOf(response) });
    this.#view.show(this.#reads);
  }

  #ended(reason, isError) {
    this.#series = null;
    this.#offerStop(false);
    this.#say(reason, isError);
  }

  #offerStop(isRunning) {
    byId("series-start").textContent = isRunning ? "Stop" : "Read again and again";
  }

  async #showPast() {
    const params = this.#params();
    if (!params) return;
    this.#begin(params);
    try {
      const filters = { ecu_address: params.ecuAddress, data_id: params.dataId };
      const { results } = await listPastValues(this.#id, filters);
      this.#past.show(results.reverse());
      this.#say(results.length ? "" : "No earlier read of this identifier has completed, of those that you may see.");
    } catch (error) {
      this.#say(error.detail ?? "The earlier values could not be shown. Reload the page.", true);
    }
  }

  #say(text, isError = false) {
    showMessage(byId("values-message"), text, { isError });
  }
}
