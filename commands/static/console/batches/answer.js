// The answer of a batch over all vehicles: its trouble codes, its values, and its failures by reason.
// Names and texts come from vehicles and are hostile input; the API has cut them.

import { commandAddress } from "../command.js";
import { element, update } from "../dom.js";
import { counted, tenths, whole } from "../format.js";
import { explain } from "../labels.js";

const MAX_LINES = 8; // more are shown when somebody asks

export class Answer {
  #root;
  #isLong = false;
  #shown = null; // {summary, batch, chosen}

  /** onChoose is called with the name and the value of the filter in a line. */
  constructor({ root, onChoose }) {
    this.#root = root;
    root.addEventListener("click", (event) => {
      const { filter, value } = event.target.closest("a")?.dataset ?? {};
      if (!filter || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      onChoose(filter, value);
    });
    this.#part("more").addEventListener("click", () => {
      this.#isLong = true;
      this.#draw();
    });
  }

  /** `chosen`: the value of the filter that the results are shown for. */
  show(summary, batch, chosen) {
    this.#shown = { summary, batch, chosen };
    this.#draw();
  }

  #draw() {
    const { summary, batch, chosen } = this.#shown;
    const codes = this.#isLong ? summary.trouble_codes : summary.trouble_codes.slice(0, MAX_LINES);
    this.#part("heading").textContent = headline(summary, batch);
    update(
      this.#part("codes"),
      codes.map((code) => codeLine(code, summary.vehicles, chosen)),
    );
    update(this.#part("values"), summary.values.map(valuePart));
    update(
      this.#part("failures"),
      summary.failures.map((failure) => failureLine(failure, chosen)),
    );
    this.#part("failures-head").hidden = !summary.failures.length;
    const hidden = summary.trouble_codes.length - codes.length;
    this.#part("more").hidden = !hidden;
    this.#part("more").textContent = `Show ${counted(hidden, "more code")}`;
    this.#part("incomplete").hidden = summary.is_complete;
    this.#root.hidden = !summary.vehicles && !summary.failures.length;
  }

  #part(name) {
    return this.#root.querySelector(`[data-answer=${name}]`);
  }
}

export const failedCount = ({ failures }) => failures.reduce((sum, { vehicles }) => sum + vehicles, 0);

function headline({ vehicles, trouble_codes: codes }, { command_name: name, vehicle_count: count }) {
  const answered = `${whole(vehicles)} of ${counted(count, "vehicle")} answered`;
  if (!/^(ReadDTC|ScanVehicle)$/.test(name) || !vehicles) return answered;
  return `${answered}: ${codes.length ? counted(codes.length, "different trouble code") : "no trouble codes"}`;
}

function codeLine({ dtc_code: code, description, vehicles, confirmed }, total, chosen) {
  return element(
    "li",
    {},
    filterLink("dtc_code", code, chosen, element("strong", { class: "code" }, code)),
    element("span", { class: "vehicle-text" }, description),
    share(vehicles, total),
    element("span", {}, `in ${whole(vehicles)} of ${counted(total, "vehicle")}`),
    element("span", { class: "muted" }, confirmed ? `${whole(confirmed)} confirmed` : "none confirmed"),
  );
}

function failureLine({ error_code: code, error_message: message, vehicles }, chosen) {
  return element(
    "li",
    {},
    filterLink("error_code", code, chosen, counted(vehicles, "vehicle")),
    element("span", { class: "vehicle-text" }, ...reason(code, message)),
  );
}

/** Only a refusal has the vehicle's own words. */
function reason(code, message) {
  const fact = explain(code, message)[0];
  return code === "vehicle_refused" ? [fact, element("span", { class: "muted" }, ` For example: ${message}`)] : [fact];
}

function filterLink(filter, value, chosen, label) {
  const address = `?${new URLSearchParams({ [filter]: value })}#results`;
  const current = value === chosen && "true";
  return element("a", { href: address, "data-filter": filter, "data-value": value, "aria-current": current }, label);
}

function share(part, total) {
  const bar = element("span", { class: "share", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.width = `${(100 * part) / total}%`;
  return bar;
}

// --- Values

function valuePart({ name, unit, vehicles, minimum, median, maximum, histogram, texts }) {
  const title = element("h3", { class: "vehicle-text" }, name, unit && ` (${unit})`);
  return element(
    "div",
    { class: "answer-value" },
    title,
    minimum &&
      element("dl", {}, fact("Minimum", end(minimum)), fact("Median", number(median)), fact("Maximum", end(maximum))),
    histogram.length > 1 && bars(histogram),
    texts.length > 0 && element("ul", { class: "answer-texts" }, texts.map(textLine(vehicles))),
  );
}

const number = (value) => tenths(value);
const fact = (label, ...content) => element("div", {}, element("dt", {}, label), element("dd", {}, content));

const end = ({ value, command_id: id, vin }) => [
  element("a", { href: commandAddress(id), "aria-label": `${number(value)}, ${vin}` }, number(value)),
  element("span", { class: "vin muted" }, ` ${vin}`),
];

const textLine =
  (total) =>
  ({ text, vehicles }) =>
    element("li", {}, element("span", { class: "vehicle-text" }, text), ` in ${whole(vehicles)} of ${whole(total)}`);

function bars(histogram) {
  const most = Math.max(...histogram.map(({ vehicles }) => vehicles));
  const text = ({ start, end: to, vehicles }) => `${number(start)} to ${number(to)}: ${counted(vehicles, "vehicle")}`;
  const columns = histogram.map((bin) => {
    const bar = element("span", { title: text(bin) }, element("span"));
    bar.firstChild.style.height = `${(100 * bin.vehicles) / most}%`;
    return bar;
  });
  const label = histogram.filter(({ vehicles }) => vehicles).map(text);
  return element("div", { class: "histogram", role: "img", "aria-label": label.join("; ") }, columns);
}
