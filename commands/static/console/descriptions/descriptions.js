// The list of descriptions, and the upload of a file.

import { listDescriptions, uploadDescription } from "../api.js";
import { byId, cell, element, showFieldError, showMessage, update } from "../dom.js";
import { time, whole } from "../format.js";
import { PagedList } from "../paged_list.js";
import { descriptionAddress, stateBadge, usage } from "./state.js";

const list = new PagedList({
  root: byId("descriptions"),
  key: ({ description_id: id }) => id,
  row: (description, node = element("tr")) => fillRow(node, description),
  emptyText: () => "No descriptions.",
  refreshMs: 3_000,
});

list.show(() => listDescriptions({}));

function fillRow(node, description) {
  const { description_id: id, file_name: name, revision, reason, created_at: at } = description;
  const numbers = ["dtc_count", "did_count", "routine_count"].map((field) => whole(description[field]));
  const [codes, identifiers, routines] = description.state === "ready" ? numbers : ["", "", ""];
  update(
    node,
    element("td", {}, element("a", { href: descriptionAddress(id) }, name)),
    cell(revision && "Revision", revision),
    element("td", {}, stateBadge(description), reason && element("p", { class: "reason" }, reason)),
    element("td", { class: "number", "data-label": "Codes" }, codes),
    element("td", { class: "number", "data-label": "Identifiers" }, identifiers),
    element("td", { class: "number", "data-label": "Routines" }, routines),
    cell("Used by", usage(description)),
    element("td", { class: "nowrap muted" }, time(at)),
  );
  return node;
}

// --- The upload

const form = byId("upload"); // only for users who may add descriptions
const input = byId("upload-file");
const bar = byId("upload-progress");
let isBusy = false;

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy) upload();
});
input?.addEventListener("change", () => showProblem(""));

async function upload() {
  const [file] = input.files;
  if (!file) return showProblem("Choose a file.");
  const { maxMb } = form.dataset;
  if (file.size > maxMb * 1024 * 1024) return showProblem(`It is larger than ${maxMb} MB.`);
  showProblem("");
  setBusy(true);
  try {
    await uploadDescription(file, (share) => showProgress(file, share));
    form.reset();
    showMessage(byId("upload-state"), `${file.name} has arrived. A worker imports it: the list shows how it ends.`);
    await list.show(() => listDescriptions({}));
  } catch (error) {
    showMessage(byId("upload-state"), "");
    showProblem(error.fields?.file?.join(" ") ?? error.detail ?? "The file was not uploaded. Try again.");
  }
  setBusy(false);
}

function showProgress(file, share) {
  const percent = Math.floor(share * 100);
  bar.value = percent;
  const words = percent < 100 ? `${file.name}: ${percent} % sent` : `${file.name} is being stored…`;
  byId("upload-state").textContent = words;
}

function setBusy(busy) {
  isBusy = busy;
  bar.hidden = !busy;
  bar.value = 0;
  form.querySelector("[type=submit]").setAttribute("aria-disabled", String(busy));
}

const showProblem = (text) => showFieldError(input, byId("upload-problem"), text);
