// A list that comes in pages. One page is shown and kept fresh in place.

import { getPage } from "./api.js";
import { reconcile, showMessage } from "./dom.js";
import { time } from "./format.js";
import { Poll } from "./poll.js";

export class PagedList {
  #root;
  #options;
  #nodes = new Map();
  #fetchPage = null; // requests the shown page again
  #results = null; // null until the first page has arrived
  #links = {};
  #shownAt = null;
  #loading = null; // the latest request
  #isFirstPage = true;

  /**
   * root       holds [data-rows], [data-message], and buttons [data-previous] and [data-next]. With a button [data-newer]
   *            new rows at the top wait until somebody asks for them.
   * key        of a result
   * row        fills the node of a result, or creates it: row(result, node or undefined) → node
   * emptyText  of a list without results
   * refreshMs  how often the shown page is requested again
   * upTo       requests the first page from this result on, without any newer results
   * pinned     results to show above the page: pinned(results) → results
   * onResults  called with the shown results after each change
   */
  constructor({ root, refreshMs, ...options }) {
    this.#root = root;
    this.#options = { pinned: () => [], onResults: () => {}, ...options };
    for (const name of ["previous", "next"]) this.#part(name).addEventListener("click", () => this.#turn(name));
    this.#part("newer")?.addEventListener("click", () => this.#load());
    if (refreshMs) new Poll(() => this.refresh(), refreshMs);
  }

  /** Start at the first page of the response to `ask`. */
  show(ask) {
    this.#isFirstPage = true;
    this.#root.setAttribute("aria-busy", "true");
    return this.#start(ask);
  }

  /** True when the page shows the present state, false when that failed. After a later request, what became of that. */
  refresh() {
    return this.#fetchPage && this.#load({ holdNewer: true });
  }

  results() {
    return this.#results ?? [];
  }

  /** Draw the shown results again. */
  draw() {
    const { key, pinned } = this.#options;
    const shown = [...pinned(this.results()), ...this.results()];
    const nodes = new Map(shown.map((result) => [key(result), this.#node(result)]));
    reconcile(this.#part("rows"), [...nodes.values()]);
    this.#nodes = nodes;
  }

  #part(name) {
    return this.#root.querySelector(`[data-${name}]`);
  }

  #start(ask) {
    this.#fetchPage = ask;
    this.#results = null;
    return this.#load();
  }

  #load(options) {
    const loading = Promise.resolve().then(() => this.#loadPage(() => loading === this.#loading, options));
    this.#loading = loading;
    return loading;
  }

  async #loadPage(isCurrent, { holdNewer = false } = {}) {
    try {
      const page = await this.#fetchPage();
      const newer = holdNewer ? this.#newer(page.results) : [];
      const shown = newer.length ? await this.#withoutNewer(page, newer) : page;
      if (!isCurrent()) return this.#loading;
      this.#show(shown);
      this.#offerNewer(shown === page ? 0 : newer.length, page.next && newer.length === page.results.length);
      return true;
    } catch (error) {
      if (!isCurrent()) return this.#loading;
      this.#fail(error.detail ?? "The list could not be loaded. Reload the page.");
      return false;
    }
  }

  #fail(text) {
    this.#root.removeAttribute("aria-busy");
    const content = this.#results ? ["Out of date since ", time(this.#shownAt), ": ", text] : text;
    showMessage(this.#part("message"), content, { isError: true });
  }

  /** Results at the top that are newer than the shown page, if such results are held back. */
  #newer(results) {
    if (!this.#part("newer") || !this.#isFirstPage || !this.#results?.length) return [];
    const known = new Set(this.#results.map(this.#options.key));
    const index = results.findIndex((result) => known.has(this.#options.key(result)));
    return results.slice(0, index < 0 ? results.length : index);
  }

  /** The present state of the shown page; the new page if nothing of the shown one is left. */
  async #withoutNewer(page, newer) {
    const { upTo } = this.#options;
    if (!upTo)
      return newer.length < page.results.length ? { ...page, results: page.results.slice(newer.length) } : page;
    const kept = await upTo(this.#results[0]);
    return kept.results.length ? kept : page;
  }

  #show(page) {
    this.#links = page;
    this.#results = page.results;
    this.#shownAt = new Date().toISOString();
    this.draw();
    this.#root.removeAttribute("aria-busy");
    showMessage(this.#part("message"), page.results.length ? "" : this.#options.emptyText(), { isError: false });
    this.#showLink("previous");
    this.#showLink("next");
    this.#options.onResults(page.results);
  }

  #node(result) {
    return this.#options.row(result, this.#nodes.get(this.#options.key(result)));
  }

  #showLink(name) {
    const button = this.#part(name);
    const isMissing = !this.#links[name];
    if (isMissing && document.activeElement === button) this.#root.focus({ preventScroll: true });
    button.disabled = isMissing;
    button.parentElement.hidden = !this.#links.previous && !this.#links.next;
  }

  #offerNewer(count, hasMore) {
    const button = this.#part("newer");
    if (!button) return;
    button.hidden = count === 0;
    button.textContent = hasMore ? `Show ${count} or more new` : `Show ${count} new`;
  }

  async #turn(name) {
    const link = this.#links[name];
    this.#isFirstPage = false;
    await this.#start(() => getPage(link));
    if (this.#root.getBoundingClientRect().top < 0) this.#root.scrollIntoView();
  }
}
