// The recent commands, newest first. A click opens a command in the page.

import { listCommands } from "../api.js";
import { commandAddress, parameters, runTime, statusBadge, submitter } from "../command.js";
import { element, update } from "../dom.js";
import { time } from "../format.js";
import { PagedList } from "../paged_list.js";
import { loadValue, saveValue, viewer } from "../site.js";

const PAGE_SIZE = 15;
const REFRESH_MS = 5000;

export class RecentCommands {
  #root;
  #onOpen;
  #list;
  #shownId = null;
  #isOnlyMine = !viewer.seesAll || loadValue("recent") === "mine";

  /**
   * onOpen    called with the id of a clicked command
   * onLoaded  called with the listed commands after each refresh
   */
  constructor({ root, onOpen, onLoaded }) {
    this.#root = root;
    this.#onOpen = onOpen;
    this.#list = new PagedList({
      root,
      key: ({ command_id: id }) => id,
      row: (command, node = this.#newRow(command)) => this.#fill(node, command),
      emptyText: () => root.dataset.empty,
      refreshMs: REFRESH_MS,
      onResults: onLoaded,
    });
    this.#offerChoice();
    this.#show();
  }

  refresh() {
    return this.#list.refresh();
  }

  /** Mark the command that the page shows. */
  select(id) {
    this.#shownId = id;
    this.#list.draw();
  }

  #show() {
    const submittedBy = this.#isOnlyMine && viewer.username;
    return this.#list.show(() => listCommands({ submitted_by: submittedBy, page_size: PAGE_SIZE }));
  }

  #offerChoice() {
    const form = this.#root.querySelector("[data-whose]");
    if (!form) return;
    form.elements.whose.value = this.#isOnlyMine ? "mine" : "all";
    form.addEventListener("change", ({ target }) => {
      this.#isOnlyMine = target.value === "mine";
      saveValue("recent", target.value);
      this.#show();
    });
  }

  #newRow({ command_id: id }) {
    const link = element("a", { href: commandAddress(id) });
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return; // the browser opens a new tab or window
      event.preventDefault();
      this.#onOpen(id);
    });
    return element("li", {}, link);
  }

  #fill(node, command) {
    const link = node.firstElementChild;
    if (command.command_id === this.#shownId) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    update(
      link,
      statusBadge(command),
      element(
        "span",
        { class: "recent-command" },
        element("strong", {}, command.command_name),
        parameters(command.command_params),
        submitter(command),
      ),
      element("span", { class: "vin" }, command.vin),
      element("span", { class: "recent-time" }, time(command.submitted_at)),
      element("span", { class: "recent-duration", title: "Run time, without the waiting" }, runTime(command)),
    );
    return node;
  }
}
