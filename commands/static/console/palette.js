// The palette: pages, vehicles and recent commands by a few characters. Loaded when somebody first opens it.

import { listCommands, listVehicles } from "./api.js";
import { commandAddress, statusLabel } from "./command.js";
import { element, update } from "./dom.js";
import { viewer } from "./site.js";
import { modelName, vehicleAddress } from "./vehicle.js";

const TYPING_PAUSE_MS = 120;
const VEHICLES = 5;
const COMMANDS = 5;
const PAGES = [
  ["Dashboard", "/"],
  ["Vehicles", "/vehicles/"],
  ["Commands", "/commands/"],
  ["Batches", "/batches/"],
  ...(viewer.canSubmit ? [["New command", "/commands/new/"]] : []),
  ...(viewer.canSubmit ? [["New batch", "/batches/new/"]] : []),
];

class Palette {
  #input = element("input", {
    type: "text",
    role: "combobox",
    "aria-label": "Go to a vehicle, a command or a page",
    "aria-controls": "palette-options",
    "aria-expanded": "true",
    "aria-autocomplete": "list",
    placeholder: "Part of a VIN, make or model, or a page",
    maxlength: 100,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  #list = element("ul", { id: "palette-options", role: "listbox", "aria-label": "Found" });
  #dialog = element("dialog", { class: "palette", "aria-label": "Go to" }, this.#input, this.#list);
  #chosen = 0;
  #requests = 0;
  #typing = null;

  constructor() {
    document.body.append(this.#dialog);
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#find(), TYPING_PAUSE_MS);
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", ({ target }) => this.#open(target.closest("[data-address]")));
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
  }

  show() {
    if (this.#dialog.open) return this.#dialog.close();
    this.#input.value = "";
    this.#dialog.showModal();
    this.#input.focus();
    return this.#find();
  }

  async #find() {
    this.#requests += 1;
    const request = this.#requests;
    const text = this.#input.value.trim();
    this.#draw(pages(text), text);
    const [vehicles, commands] = await Promise.all([text ? findVehicles(text) : [], findCommands(text)]);
    if (request === this.#requests) this.#draw([...vehicles, ...commands, ...pages(text)], text);
  }

  #draw(found, text) {
    const options = found.map(({ label, about, address }, index) =>
      element(
        "li",
        { id: `palette-${index}`, role: "option", "data-address": address },
        element("span", {}, label),
        element("span", { class: "muted vehicle-text" }, about),
      ),
    );
    update(this.#list, options.length ? options : text && element("li", { class: "muted" }, "Nothing is found."));
    this.#choose(0);
  }

  #choose(index) {
    const options = this.#options();
    this.#chosen = options.length ? (index + options.length) % options.length : 0;
    for (const [at, option] of options.entries()) option.setAttribute("aria-selected", String(at === this.#chosen));
    const chosen = options[this.#chosen];
    if (chosen) this.#input.setAttribute("aria-activedescendant", chosen.id);
    else this.#input.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  }

  /** Enter waits for what was typed last. */
  async #key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (steps[event.key]) this.#choose(this.#chosen + steps[event.key]);
    else if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.key !== "Enter") return;
    if (this.#typing) await this.#findNow();
    this.#open(this.#options()[this.#chosen]);
  }

  async #findNow() {
    const chosen = this.#chosen;
    clearTimeout(this.#typing);
    this.#typing = null;
    await this.#find();
    this.#choose(chosen);
  }

  #options() {
    return [...this.#list.querySelectorAll("[role=option]")];
  }

  #open(option) {
    if (option) location.assign(option.dataset.address);
  }
}

function pages(text) {
  const found = PAGES.filter(([label]) => label.toLowerCase().includes(text.toLowerCase()));
  return found.map(([label, address]) => ({ label, about: "page", address }));
}

async function findVehicles(text) {
  const { results } = await listVehicles({ search: text, page_size: VEHICLES }).catch(() => ({ results: [] }));
  return results.flatMap((vehicle) => {
    const { vehicle_id: id, vin } = vehicle;
    const send = { label: `New command for ${vin}`, about: "", address: `/commands/new/?vehicle=${id}` };
    return [
      { label: vin, about: modelName(vehicle), address: vehicleAddress(id) },
      ...(viewer.canSubmit ? [send] : []),
    ];
  });
}

async function findCommands(search) {
  const { results } = await listCommands({ search, page_size: COMMANDS }).catch(() => ({ results: [] }));
  return results.map(({ command_id: id, command_name: name, vin, status, result }) => ({
    label: `${name} ${vin}`,
    about: result || statusLabel(status),
    address: commandAddress(id),
  }));
}

const palette = new Palette();

export const showPalette = () => palette.show();
