// The commands that were sent from a page that shows more than them, each with its responses as they arrive.

import { Submission, submitCommand } from "../api.js";
import { commandSummary, statusBadge } from "../command.js";
import { decoded } from "../decoders.js";
import { button, element, showMessage, update } from "../dom.js";
import { explain } from "../labels.js";
import { CommandRun } from "./command_run.js";

const MAX_SHOWN = 3; // commands, the newest first
const MAX_RESPONSES = 50; // of one command; its own page has all

/** One command, and its responses while it runs. */
class SentCommand {
  #keepsAll;
  #run;
  #status;
  #responses = element("ol", {});
  #cancel = button("Cancel", () => this.#run.cancel(), { class: "quiet" });

  constructor(command) {
    this.#keepsAll = command.command_name === "ReadDTCSnapshot"; // the list of codes has the others
    this.#run = new CommandRun(command, (event) => this.#received(event));
    this.#status = element("span", { role: "status" }, statusBadge(command));
    const head = element("p", {}, commandSummary(command), this.#status, this.#cancel);
    this.node = element("li", { "data-command": command.command_id }, head, this.#responses);
  }

  async follow() {
    const end = await this.#run.follow();
    this.#cancel.remove();
    if (!this.#keepsAll) this.#responses.replaceChildren(...[...this.#responses.children].slice(-1));
    const problem = end.detail ?? (end.error_code && explain(end.error_code, end.error_message).join(" "));
    if (problem) this.node.append(element("p", { class: "error" }, problem));
  }

  #received({ status, response }) {
    if (status) update(this.#status, statusBadge({ status }));
    if (status === "pending") this.#responses.replaceChildren(); // what an earlier attempt has read does not count
    if (!response) return;
    if (this.#responses.childElementCount >= MAX_RESPONSES) this.#responses.firstChild.remove();
    this.#responses.append(element("li", {}, decoded(response)));
  }
}

export class SentCommands {
  #list;
  #problem;
  #submission = new Submission(submitCommand);

  /** `list` gets the commands, `problem` a text when one could not be sent. */
  constructor({ list, problem }) {
    this.#list = list;
    this.#problem = problem;
  }

  /** Send a command, and show it until it has ended. Return whether it was sent and followed. */
  async send(request) {
    try {
      const sent = new SentCommand(await this.#submission.submit(request));
      showMessage(this.#problem, "");
      this.#list.prepend(sent.node);
      while (this.#list.childElementCount > MAX_SHOWN) this.#list.lastChild.remove();
      sent.node.scrollIntoView({ block: "nearest" }); // the list of codes may be long
      await sent.follow();
      return true;
    } catch (error) {
      this.showProblem(error);
      return false;
    }
  }

  showProblem({ detail, fields = {} }) {
    const text = Object.values(fields).flat().join(" ") || detail;
    showMessage(this.#problem, text ?? "The command could not be sent. Reload the page.");
  }
}
