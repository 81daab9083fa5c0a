// A list that comes in pages: one page is shown, kept fresh in place, and does not move under the reader's hand.

import { getPage } from "./api.js";
import { arrange, renew, time } from "./dom.js";
import { poll } from "./poll.js";

/**
 * root       holds [data-rows], [data-message], and buttons [data-previous], [data-next] and, where new rows come in
 *            at the top, [data-newer]
 * key        of a result
 * row        makes or fills the node of a result: row(result, node or undefined) → node
 * empty      what to say when there is nothing
 * refreshMs  how often the shown page is asked for again; without it only when told by refresh()
 * upTo       asks for the first page that begins with this result: what came since is left out of it
 * onResults  gets the results that are shown, after each change
 */
export function createPages({ root, key, row, empty, refreshMs, upTo, onResults = () => {} }) {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const nodes = new Map();
  let fetchPage = null; // asks for the shown page again
  let shown = null; // results, null before the first have come
  let links = {};
  let freshAt = null; // when they came
  let asked = 0;
  let isFirst = true;

  /** True when the page is shown as it is now, false when it cannot be; undefined when another was asked for since. */
  async function load({ keep = false } = {}) {
    const question = (asked += 1);
    try {
      const page = await fetchPage();
      const isHeld = keep && part("newer") && isFirst && shown;
      const held = isHeld ? newcomers(page.results) : [];
      const kept = held.length ? await withoutNewcomers(page, held) : page;
      if (question !== asked) return undefined;
      links = kept;
      draw(kept.results);
      offer(kept === page ? 0 : held.length, page.next && held.length === page.results.length);
      return true;
    } catch (error) {
      if (question !== asked) return undefined;
      fail(error.detail ?? "The list could not be shown.");
      return false;
    }
  }

  function fail(words) {
    root.removeAttribute("aria-busy");
    if (shown) say(["Out of date since ", time(freshAt), ": ", words], true);
    else say([words], true);
  }

  const known = () => new Set(shown.map(key));

  /** Those at the top that came since the page was first shown. */
  function newcomers(results) {
    const before = known();
    const firstKnown = results.findIndex((result) => before.has(key(result)));
    return shown.length ? results.slice(0, firstKnown < 0 ? results.length : firstKnown) : [];
  }

  /** The page that was shown, as it is now; the new one where nothing of it is left. */
  async function withoutNewcomers(page, held) {
    if (!upTo) return held.length < page.results.length ? { ...page, results: page.results.slice(held.length) } : page;
    const kept = await upTo(shown[0]);
    return kept.results.length ? kept : page;
  }

  function draw(results) {
    shown = results;
    freshAt = new Date().toISOString();
    arrange(part("rows"), results.map(node));
    const ids = known();
    for (const id of nodes.keys()) if (!ids.has(id)) nodes.delete(id);
    root.removeAttribute("aria-busy");
    say(results.length ? [] : [empty()]);
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

  function offer(count, orMore) {
    const button = part("newer");
    if (!button) return;
    button.hidden = count === 0;
    button.textContent = orMore ? `Show ${count} or more new` : `Show ${count} new`;
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

  /** `words`: texts and nodes. */
  function say(words, isError = false) {
    const message = part("message");
    renew(message, words);
    message.hidden = !message.textContent;
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
