// The trouble codes of a completed read, one line each, compared with the last read of the ECU before it.

import { getComparison } from "../api.js";
import { badge, cell, element, update } from "../dom.js";
import { counted, time } from "../format.js";
import { SentCommands } from "../live/sent_commands.js";
import { bySubmitter, snapshotButton, sourceLink } from "../trouble_codes.js";

const READS = new Set(["ReadDTC", "ScanVehicle"]);
const MAX_ROWS = 20; // fit on a screen; the rest is shown when somebody asks
const LABELS = { new: "New", same: "Same", gone: "Gone" };

export class CodeTable {
  #root;
  #shownId = null;
  #vehicle = null; // its ID
  #codes = [];
  #sent = null; // the snapshots that were read here

  constructor(root) {
    this.#root = root;
    root.querySelector("tbody").addEventListener("click", ({ target }) => {
      const asked = target.closest("[data-do=snapshot]");
      if (asked) this.#readSnapshot(asked.dataset);
    });
    root.querySelector("[data-codes=all]").addEventListener("click", () => {
      root.parentNode.querySelector("[data-live=log]").focus();
    });
    this.#more.addEventListener("click", () => {
      this.#drawRows(this.#codes);
      root.querySelectorAll("tbody tr")[MAX_ROWS].querySelector("td").focus();
    });
  }

  get #more() {
    return this.#root.querySelector("[data-codes=more]");
  }

  clear() {
    this.#shownId = null;
    this.#root.hidden = true;
  }

  /** Show the codes of the command when it has them. Without them its log has the responses all the same. */
  async show({ command_id: id, command_name: name, vehicle_id: vehicle, status }) {
    if (status !== "completed" || !READS.has(name) || this.#shownId === id) return;
    this.#shownId = id;
    const comparison = await getComparison(id).catch(() => null);
    if (!comparison?.codes.length || this.#shownId !== id) return;
    this.#vehicle = vehicle;
    this.#draw(comparison);
    this.#root.hidden = false;
  }

  #draw({ codes, previous, is_complete: isComplete }) {
    this.#codes = codes;
    this.#drawRows(codes.slice(0, MAX_ROWS));
    this.#root.querySelector("[data-codes=incomplete]").hidden = isComplete;
    this.#root.toggleAttribute("data-first", !previous.length);
    this.#showNoSnapshots();
    update(this.#root.querySelector("[data-codes=previous]"), previousText(previous));
  }

  #drawRows(shown) {
    update(this.#root.querySelector("tbody"), shown.map(row));
    this.#more.hidden = shown.length === this.#codes.length;
    this.#more.textContent = `Show all ${counted(this.#codes.length, "code")}`;
  }

  /** A list of its own for each read: a snapshot of an earlier one may still be on its way. */
  #showNoSnapshots() {
    const list = element("ul", { class: "sent" });
    const problem = element("p", { class: "notice error", role: "alert", hidden: true });
    this.#root.querySelector("[data-codes=snapshots]").replaceChildren(problem, list);
    this.#sent = new SentCommands({ list, problem });
  }

  #readSnapshot({ of: ecuAddress, about: dtcCode }) {
    const params = { ecuAddress, dtcCode };
    this.#sent.send({ vehicle_id: this.#vehicle, command_name: "ReadDTCSnapshot", command_params: params });
  }
}

function row(compared) {
  const { ecu_address: ecu, dtc_code: code, description, failure_type: failureType } = compared;
  const { status, confirmed, change } = compared;
  const isConfirmed = confirmed === true ? "Confirmed" : confirmed === false ? "Not confirmed" : "";
  return element(
    "tr",
    { "data-change": change },
    element("td", { tabindex: -1 }, element("strong", { class: "code" }, code)),
    element(
      "td",
      { class: "vehicle-text" },
      description,
      failureType && element("span", { class: "muted" }, ` ${failureType}`),
    ),
    cell("ECU", element("code", {}, ecu)),
    cell("status", element("code", {}, status)),
    element("td", {}, change === "gone" ? "" : isConfirmed),
    element("td", {}, change && badge(change, LABELS[change])),
    element("td", {}, change !== "gone" && snapshotButton(compared)),
  );
}

function previousText(previous) {
  if (!previous.length) return "The ECU was not read before.";
  const reads = previous.slice(0, 3).map(({ ecu_address: ecu, at, command_id: id, submitted_by: by }, index) => {
    return [
      index ? ", " : "",
      "ECU ",
      element("code", {}, ecu),
      " ",
      sourceLink("read", id),
      " ",
      time(at),
      bySubmitter(by),
    ];
  });
  return ["Compared with: ", reads, previous.length > 3 && " …"];
}
