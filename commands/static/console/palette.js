// What the palette finds by a few characters: pages and actions, saved views, vehicles, batches, campaigns and commands.

import { element, update } from "./dom.js";
import { findAnything, findVehicles } from "./places.js";

const TYPING_PAUSE_MS = 120;
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export class Palette {
  #dialog;
  #input;
  #list;
  #task = null; // for which a vehicle is chosen
  #places = []; // of the options
  #chosen = 0;
  #typing = null;
  #asked = null; // {text, done} of the latest search
  #shownText = null; // whose options the list has, all of them
  #opened = 0;
  #keys = Promise.resolve(); // after the last key

  constructor({ dialog, input, list }) {
    this.#dialog = dialog;
    this.#input = input;
    this.#list = list;
    list.addEventListener("click", ({ target }) => this.#go(this.#options().indexOf(target.closest("[role=option]"))));
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  }

  open(task) {
    this.#opened += 1;
    this.#task = task;
    this.#keys = Promise.resolve();
    this.#asked = this.#shownText = null;
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
    if (key === "Enter") this.#go(this.#chosen);
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
    const opened = this.#opened;
    const { now, later } = this.#task ? findVehicles(text, this.#task.addressFor) : findAnything(text);
    if (text !== this.#shownText) this.#draw(now, null);
    const found = await later;
    if (text === this.#asked?.text && opened === this.#opened) this.#draw(found, text);
  }

  /** `text`: whose options these are, or null when more of them are on their way. */
  #draw(found, text) {
    this.#shownText = text;
    this.#places = found;
    update(
      this.#list,
      found.length ? found.map(option) : text && element("li", { class: "muted" }, "Nothing is found."),
    );
    this.#choose(0);
  }

  #choose(index) {
    const options = this.#options();
    this.#chosen = options.length ? (index + options.length) % options.length : 0;
    for (const [at, one] of options.entries()) one.setAttribute("aria-selected", String(at === this.#chosen));
    const chosen = options[this.#chosen];
    if (chosen) this.#input.setAttribute("aria-activedescendant", chosen.id);
    else this.#input.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  }

  #options() {
    return [...this.#list.querySelectorAll("[role=option]")];
  }

  #go(index) {
    const place = this.#places[index];
    if (place?.address) location.assign(place.address);
    if (!place?.act) return;
    this.#dialog.close();
    place.act();
  }
}

function option({ label, about, key }, index) {
  return element(
    "li",
    { id: `palette-${index}`, role: "option" },
    element("span", {}, label),
    element("span", { class: "muted vehicle-text" }, about, key && [" ", element("kbd", {}, key)]),
  );
}
