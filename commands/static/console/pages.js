// A list that comes in pages: one page is shown, kept fresh in place, and does not move under the reader's hand.

import { getPage } from "./api.js";
import { arrange } from "./dom.js";
import { poll } from "./poll.js";

/**
 * root       holds [data-rows], [data-message], and buttons [data-previous], [data-next] and, where new rows come in
 *            at the top, [data-newer]
 * key        of a result
 * row        makes or fills the node of a result: row(result, node or undefined) → node
 * empty      what to say when there is nothing
 * refreshMs  how often the shown page is asked for again; without it only when told by refresh()
 * onResults  gets the results that are shown, after each change
 */
export function createPages({ root, key, row, empty, refreshMs, onResults = () => {} }) {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const nodes = new Map();
  let fetchPage = null; // asks for the shown page again
  let shown = null; // results, null before the first have come
  let links = {};
  let asked = 0;
  let isFirst = true;

  async function load({ keep = false } = {}) {
    const question = (asked += 1);
    try {
      const page = await fetchPage();
      if (question !== asked) return;
      links = page;
      const held = keep && part("newer") && isFirst && shown ? newcomers(page.results) : [];
      draw(held.length ? withoutNewcomers(page.results, held) : page.results);
      offer(held.length);
    } catch (error) {
      if (question === asked && (!keep || error.permanent)) say(error.detail ?? "The list could not be shown.", true);
    }
  }

  const known = () => new Set(shown.map(key));

  /** Those at the top that came since the page was first shown. */
  function newcomers(results) {
    const before = known();
    const firstKnown = results.findIndex((result) => before.has(key(result)));
    return shown.length ? results.slice(0, firstKnown < 0 ? results.length : firstKnown) : [];
  }

  /** What was shown stays, also where newcomers pushed it off the page. */
  function withoutNewcomers(results, held) {
    const fresh = results.slice(held.length);
    const still = new Set(fresh.map(key));
    const last = fresh.length ? shown.findLastIndex((result) => still.has(key(result))) : -1;
    return [...fresh, ...shown.slice(last + 1)];
  }

  function draw(results) {
    shown = results;
    arrange(part("rows"), results.map(node));
    const ids = known();
    for (const id of nodes.keys()) if (!ids.has(id)) nodes.delete(id);
    root.removeAttribute("aria-busy");
    say(results.length ? "" : empty());
    turnable("previous");
    turnable("next");
    onResults(results);
  }

  function node(result) {
    const id = key(result);
    const made = row(result, nodes.get(id));
    nodes.set(id, made);
    return made;
  }

  function turnable(which) {
    const button = part(which);
    const nowhere = !links[which];
    if (nowhere && document.activeElement === button) root.focus();
    button.disabled = nowhere;
    button.parentElement.hidden = !links.previous && !links.next;
  }

  function offer(count) {
    const button = part("newer");
    if (!button) return;
    button.hidden = count === 0;
    button.textContent = count === 1 ? "Show 1 new" : `Show ${count} new`;
  }

  function turn(which) {
    const link = links[which];
    isFirst = false;
    fetchPage = () => getPage(link);
    shown = null;
    load().then(toTop);
  }

  function toTop() {
    if (root.getBoundingClientRect().top < 0) root.scrollIntoView();
  }

  function say(text, isError = false) {
    const message = part("message");
    message.textContent = text;
    message.hidden = !text;
    message.classList.toggle("error", isError);
  }

  for (const which of ["previous", "next"]) part(which).addEventListener("click", () => turn(which));
  part("newer")?.addEventListener("click", () => load());
  const refresh = () => fetchPage && load({ keep: true });
  if (refreshMs) poll(refresh, refreshMs);

  return {
    /** Start at the first page of what `ask` answers. */
    show(ask) {
      fetchPage = ask;
      isFirst = true;
      shown = null;
      root.setAttribute("aria-busy", "true");
      return load();
    },
    refresh,
    results: () => shown ?? [],
  };
}
