// The chosen commands are cancelled together, after one question.

import { cancelCommands } from "../api.js";

const byId = (id) => document.getElementById(id);

/**
 * chosen       tells the chosen commands
 * onCancelled  called after they were
 */
export function createCancelling({ chosen, onCancelled }) {
  const dialog = byId("cancel-dialog");
  const open = byId("cancel-chosen");
  const confirm = byId("cancel-do");
  let asked = []; // the commands that the question is about
  let outcome = ""; // what became of the last ones, until others are chosen

  function offer() {
    const count = chosen().length;
    if (!count && document.activeElement === open) byId("choose-all").focus(); // what is disabled loses the focus
    open.disabled = !count;
    open.textContent = count ? `Cancel chosen (${count})` : "Cancel chosen";
    if (count) outcome = "";
    byId("chosen").textContent = count ? `${count} chosen` : outcome;
  }

  function ask() {
    asked = chosen();
    byId("cancel-heading").textContent = `Cancel ${commands(asked.length)}?`;
    byId("cancel-words").textContent = consequences(asked);
    confirm.textContent = `Cancel ${commands(asked.length)}`;
    complain("");
    dialog.showModal();
  }

  async function cancel() {
    confirm.setAttribute("aria-disabled", "true"); // not `disabled`: that would take the focus away
    try {
      outcome = words(await cancelCommands(asked.map(({ command_id: id }) => id)));
      dialog.close();
      onCancelled();
    } catch (error) {
      complain(error.detail ?? "They could not be cancelled.");
    }
    confirm.removeAttribute("aria-disabled");
  }

  function complain(text) {
    byId("cancel-error").textContent = text;
    byId("cancel-error").hidden = !text;
  }

  open.addEventListener("click", ask);
  confirm.addEventListener("click", () => confirm.ariaDisabled !== "true" && cancel());
  byId("cancel-not").addEventListener("click", () => dialog.close());
  return { offer };
}

const commands = (count) => (count === 1 ? "1 command" : `${count} commands`);

function consequences(chosen) {
  const running = chosen.filter(({ status }) => status === "in_progress").length;
  const waiting = chosen.length - running;
  return [
    waiting && `${commands(waiting)} still ${waiting === 1 ? "waits" : "wait"}: nothing is sent to the vehicle.`,
    running && `${commands(running)} ${running === 1 ? "is" : "are"} running: the vehicle may have carried out a part.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function words({ cancelled, asked_to_stop: stopping, already_ended: ended }) {
  const parts = [
    cancelled && `${commands(cancelled)} cancelled`,
    stopping && `${commands(stopping)} asked to stop`,
    ended && `${commands(ended)} had ended already`,
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}
