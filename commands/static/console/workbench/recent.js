// The recent commands, newest first; a click shows a command's stream again.

import { getPage, listCommands } from "../api.js";
import { statusBadge, took } from "../command.js";
import { arrange, element, parameters, submitter, time } from "../dom.js";
import { poll } from "../poll.js";
import { recall, remember } from "./remembered.js";
import { viewer } from "../site.js";

const PAGE_SIZE = 15;
const REFRESH_MS = 5000;

/** onOpen is called with a command's id for a click. Who may see everybody's commands chooses between those and theirs. */
export function createRecent({ root, onOpen }) {
  const list = root.querySelector("[data-list]");
  const message = root.querySelector("[data-message]");
  const more = root.querySelector("[data-more]");
  const commands = new Map();
  const rows = new Map();
  let next; // undefined until the first page is here
  let shownId = null;
  let onlyMine = !viewer.seesAll || recall("recent") === "mine";
  let asked = 0; // Whose commands are shown may have changed before an answer is here.

  async function load(fetchPage, { older = false } = {}) {
    const question = asked;
    try {
      const page = await fetchPage();
      if (question !== asked) return true;
      // A refresh brings the newest page only. Where it meets what is shown, the link to older ones stays
      // where it has got to.
      const meets = page.results.some(({ command_id: id }) => commands.has(id));
      if (!older && !meets) commands.clear();
      if (older || !meets || next === undefined) next = page.next;
      page.results.forEach(keep);
      render();
      return true;
    } catch (error) {
      const isAskedAgain = question !== asked || (commands.size && error.uncertain);
      if (!isAskedAgain) say(error.detail ?? "The commands could not be shown.", true);
      return false;
    }
  }

  // A list that was asked for before a move may arrive after it.
  function keep(command) {
    const last = commands.get(command.command_id)?.last_sequence_number ?? 0;
    if (command.last_sequence_number >= last) commands.set(command.command_id, command);
  }

  function render() {
    const newestFirst = [...commands.values()].sort(byTime);
    arrange(list, newestFirst.map(row));
    more.hidden = !next;
    say(newestFirst.length ? "" : root.dataset.empty);
  }

  function row(command) {
    const id = command.command_id;
    if (!rows.has(id)) rows.set(id, newRow(id));
    const item = rows.get(id);
    const link = item.firstElementChild;
    if (link.dataset.drawn !== drawing(command)) fill(link, command);
    mark(id);
    return item;
  }

  function newRow(id) {
    const link = element("a", { href: `/commands/${encodeURIComponent(id)}/` });
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return; // A new tab or window is the browser's business.
      event.preventDefault();
      onOpen(id);
    });
    return element("li", {}, link);
  }

  function mark(id) {
    const link = rows.get(id)?.firstElementChild;
    if (id === shownId) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
  }

  function say(text, isError = false) {
    message.textContent = text;
    message.hidden = !text;
    message.classList.toggle("error", isError);
  }

  function chooseWhose({ target }) {
    onlyMine = target.value === "mine";
    remember("recent", target.value);
    asked += 1;
    commands.clear();
    next = undefined;
    ask();
  }

  function showChoice() {
    const choice = root.querySelector("[data-whose]");
    if (!choice) return;
    choice.elements.whose.value = onlyMine ? "mine" : "all";
    choice.addEventListener("change", chooseWhose);
  }

  const ask = () => load(() => listCommands({ submitted_by: onlyMine && viewer.username, page_size: PAGE_SIZE }));
  more.addEventListener("click", () => load(() => getPage(next), { older: true }));
  showChoice();
  const polled = poll(ask, REFRESH_MS);

  return {
    refresh: polled.now,
    select(id) {
      const before = shownId;
      shownId = id;
      mark(before);
      mark(id);
    },
    add(command) {
      keep(command);
      render();
    },
    /** What the stream says is newer than the list. */
    update(command) {
      if (commands.has(command.command_id)) this.add(command);
    },
  };
}

function byTime(a, b) {
  return Date.parse(b.submitted_at) - Date.parse(a.submitted_at) || (a.command_id < b.command_id ? 1 : -1);
}

/** What a row shows: it is drawn anew only when that has changed, so that nothing flickers under the reader. */
const drawing = ({ status, completed_at: end }) => `${status} ${end}`;

function fill(link, command) {
  link.dataset.drawn = drawing(command);
  link.replaceChildren(
    statusBadge(command),
    element(
      "span",
      { class: "history-command" },
      element("strong", {}, command.command_name),
      parameters(command.command_params),
      submitter(command, viewer.username),
    ),
    element("span", { class: "vin" }, command.vin),
    element("span", { class: "history-time" }, time(command.submitted_at)),
    element("span", { class: "history-duration", title: "From submission to end" }, took(command)),
  );
}
