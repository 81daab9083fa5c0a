// The form of a new command: checked, confirmed where that is needed, and sent.

import { createCommandFields } from "../command_fields.js";
import { arrange, element, replayedWords } from "../dom.js";
import { recall, remember } from "./remembered.js";
import { KEPT_MINUTES } from "../submission.js";

const CAUTION =
  "It changes the vehicle, so you are asked to confirm it. If it breaks off, it is not repeated by itself.";

/**
 * confirm({vehicle, type, params})  resolves with what the person has confirmed by, or with null
 * submit({vehicle_id, command_name, command_params, confirmation?})  when it rejects, `detail` and `fields` are shown
 * here, else onSubmitted gets what it answered
 */
export function createComposer({ form, picker, confirm, submit, onSubmitted }) {
  const send = form.querySelector("[type=submit]");
  const errors = form.querySelector("[data-errors]");
  let busy = false;
  const command = createCommandFields({
    form,
    caution: CAUTION,
    lastUsed: ({ name }) => recall(name) ?? {},
    onShow: () => showErrors([]),
  });

  /** As another command was; what a person has begun meanwhile stays. */
  function fillFrom(former) {
    if (command.isBegun()) return;
    if (!command.fillFrom(former)) return showErrors([`There is no command ${former.command_name} any more.`]);
    if (document.activeElement === document.body) send.focus({ preventScroll: true });
  }

  async function trySubmit() {
    showErrors([]);
    const wrong = command.wrong();
    const vehicle = picker.chosen();
    picker.complain(vehicle ? "" : "Choose a vehicle.");
    if (!vehicle) return picker.focus();
    if (wrong.length) return wrong[0].focus();
    const type = command.chosenType();
    if (!type) return showErrors(["The commands are not here yet: reload the page."]);
    const request = { vehicle_id: vehicle.vehicle_id, command_name: type.name, command_params: command.values() };
    if (type.safe_to_repeat) return sendOff(request);
    const confirmation = await confirm({ vehicle, type, params: request.command_params }).catch(showFailure);
    if (confirmation) await sendOff({ ...request, confirmation });
  }

  async function sendOff(request) {
    setBusy(true);
    const submitted = await submit(request).catch(showFailure);
    setBusy(false);
    if (!submitted) return;
    remember(request.command_name, request.command_params);
    if (submitted.is_replayed) tell([replayedWords(submitted)]);
    onSubmitted(submitted);
  }

  function showFailure(error) {
    const fieldOf = (name) => (name === "vehicle_id" ? picker : command.named(name));
    const others = [];
    for (const [name, messages] of Object.entries(error.fields ?? {})) {
      const text = [messages].flat().join(" ");
      if (fieldOf(name)) fieldOf(name).complain(text);
      else others.push(`${name}: ${text}`);
    }
    const found = Object.keys(error.fields ?? {}).find(fieldOf);
    if (others.length || !found) showErrors(others.length ? others : [detailOf(error)]);
    if (found) fieldOf(found).focus();
  }

  const showErrors = (lines) => tell(lines, true);

  function tell(lines, isError = false) {
    arrange(
      errors,
      lines.map((line) => element("p", {}, line)),
    );
    errors.classList.toggle("error", isError);
    errors.hidden = lines.length === 0;
  }

  // Not `disabled`: that would take the focus away.
  function setBusy(value) {
    busy = value;
    send.setAttribute("aria-disabled", String(value));
    send.textContent = value ? "Submitting…" : "Submit command";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) trySubmit();
  });
  return { setTypes: command.setTypes, showErrors, fillFrom };
}

function detailOf({ detail, uncertain }) {
  return uncertain ? `${detail} Submit again within ${KEPT_MINUTES} minutes: it will not run twice.` : detail;
}
