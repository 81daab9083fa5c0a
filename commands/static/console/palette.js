// What the palette finds: pages, saved views, vehicles and recent commands by a few characters.

import { listCommands, listVehicles, listViews } from "./api.js";
import { commandAddress, statusLabel } from "./command.js";
import { element, update } from "./dom.js";
import { viewer } from "./site.js";
import { modelName, vehicleAddress } from "./vehicle.js";

const TYPING_PAUSE_MS = 120;
const STEPS = { ArrowDown: 1, ArrowUp: -1 };
const VEHICLES = 5;
const COMMANDS = 5;
const VIEWS = 100;
const PAGES = [
  ["Dashboard", "/"],
  ["Vehicles", "/vehicles/"],
  ["Commands", "/commands/"],
  ["Batches", "/batches/"],
  ...(viewer.canSubmit ? [["New command", "/commands/new/"]] : []),
  ...(viewer.canSubmit ? [["New batch", "/batches/new/"]] : []),
  ...(viewer.canHaveWebhooks ? [["Webhooks", "/webhooks/"]] : []),
];

export class Palette {
  #dialog;
  #input;
  #list;
  #chosen = 0;
  #typing = null;
  #asked = null; // {text, done} of the latest search
  #shownText = null; // whose options the list has, all of them
  #opened = 0;
  #views = null; // once somebody asks for them
  #keys = Promise.resolve(); // after the last key

  constructor({ dialog, input, list }) {
    this.#dialog = dialog;
    this.#input = input;
    this.#list = list;
    list.addEventListener("click", ({ target }) => this.#go(target.closest("[data-address]")));
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  }

  open() {
    this.#opened += 1;
    this.#keys = Promise.resolve();
    this.#asked = this.#shownText = this.#views = null;
    update(this.#list);
    this.#find();
  }

  findSoon() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#find(), TYPING_PAUSE_MS);
  }

  /** A key acts on what is found for the text as it stands, after the keys before it. */
  press(key) {
    const opened = this.#opened;
    const isOpen = () => this.#dialog.open && opened === this.#opened;
    this.#keys = this.#keys.then(async () => {
      while (isOpen() && this.#shownText !== this.#text()) await this.#find();
      if (isOpen()) this.#act(key);
    });
  }

  #act(key) {
    if (key === "Enter") this.#go(this.#options()[this.#chosen]);
    else this.#choose(this.#chosen + STEPS[key]);
  }

  #text() {
    return this.#input.value.trim();
  }

  #find() {
    clearTimeout(this.#typing);
    const text = this.#text();
    if (this.#asked?.text !== text) this.#asked = { text, done: this.#load(text) };
    return this.#asked.done;
  }

  async #load(text) {
    const first = text ? pages(text) : [];
    if (text !== this.#shownText) this.#draw(first, null);
    this.#views ??= listViews({ page_size: VIEWS }).catch(() => ({ results: [] }));
    const requests = [this.#views, text ? findVehicles(text) : [], findCommands(text)];
    const [{ results: views }, vehicles, commands] = await Promise.all(requests);
    if (text !== this.#asked.text) return;
    this.#draw([...first, ...matching(views, text), ...vehicles, ...commands, ...(text ? [] : pages(text))], text);
  }

  /** `text`: whose options these are, or null when more of them are on their way. */
  #draw(found, text) {
    this.#shownText = text;
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

  #options() {
    return [...this.#list.querySelectorAll("[role=option]")];
  }

  #go(option) {
    if (option) location.assign(option.dataset.address);
  }
}

function pages(text) {
  const found = PAGES.filter(([label]) => label.toLowerCase().includes(text.toLowerCase()));
  return found.map(([label, address]) => ({ label, about: "page", address }));
}

function matching(views, text) {
  const found = views.filter(({ name }) => text && name.toLowerCase().includes(text.toLowerCase()));
  return found.map(({ name, page, query }) => ({
    label: name,
    about: `view of ${page}`,
    address: `/${page}/?${query}`,
  }));
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
