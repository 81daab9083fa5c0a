// The last deliveries of one webhook: loaded when somebody opens them.

import { listDeliveries } from "../api.js";
import { badge, cell, element, update } from "../dom.js";
import { time } from "../format.js";

const SHOWN = 10;
const STATES = {
  pending: ["pending", "Waits"],
  delivered: ["completed", "Delivered"],
  failed: ["failed", "Failed"],
  dropped: ["expired", "Dropped"],
};
const HEADINGS = ["When", "Event", "State", "Attempts", "Answer"];

export class Deliveries {
  #id;
  #rows = element("tbody");
  #message = element("p", { class: "muted", role: "status" }, "Loading…");

  constructor(id) {
    this.#id = id;
    const head = HEADINGS.map((text) => element("th", { scope: "col" }, text));
    const table = element(
      "table",
      { class: "table deliveries" },
      element("thead", {}, element("tr", {}, head)),
      this.#rows,
    );
    this.node = element("details", {}, element("summary", {}, "Last deliveries"), table, this.#message);
    this.node.addEventListener("toggle", () => this.refresh());
  }

  open() {
    this.node.open = true;
  }

  async refresh() {
    if (!this.node.open) return;
    try {
      const { results } = await listDeliveries(this.#id, { page_size: SHOWN });
      update(this.#rows, results.map(row));
      update(this.#message, results.length ? "" : "Nothing was sent in the last days.");
    } catch (error) {
      update(this.#message, error.detail);
    }
  }
}

function row(delivery) {
  const { created_at: at, event, state, attempts, due_at: due, status_code: code, problem, answer } = delivery;
  const next = state === "pending" && attempts > 0 && [" again at ", time(due, "clock")];
  const excerpt = answer && element("p", { class: "muted vehicle-text" }, answer);
  return element(
    "tr",
    {},
    element("td", { class: "nowrap" }, time(at)),
    cell("", event),
    cell("", badge(...(STATES[state] ?? ["pending", state])), next),
    cell("Attempts", String(attempts)),
    cell("", problem || (code ? `HTTP ${code}` : ""), excerpt),
  );
}
