// Announces new lines to screen readers: each line while few arrive, their number when many arrive at once.

const PAUSE_MS = 1500;
const FEW = 3;

export class Announcer {
  #region;
  #texts = [];
  #timer = null;

  constructor(region) {
    this.#region = region;
  }

  announce(texts) {
    this.#texts.push(...texts);
    this.#timer ??= setTimeout(() => this.#speak(), 0);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#texts = [];
    this.#region.textContent = "";
  }

  #speak() {
    this.#timer = null;
    const texts = this.#texts;
    if (!texts.length) return;
    const last = texts.slice(-FEW).join(" ");
    this.#region.textContent = texts.length <= FEW ? last : `${texts.length} new lines. The last: ${texts.at(-1)}`;
    this.#texts = [];
    this.#timer = setTimeout(() => this.#speak(), PAUSE_MS);
  }
}
