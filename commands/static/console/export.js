// Exports: the file is saved, or the page shows why there is none.

import { downloadFile } from "./api.js";
import { element, showMessage } from "./dom.js";

/** Let a link export; `message` shows the progress and an error. */
export function exportBy(link, message) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // the browser opens a new tab or window
    event.preventDefault();
    if (link.ariaDisabled !== "true") run(link, message);
  });
}

async function run(link, message) {
  link.setAttribute("aria-disabled", "true");
  showMessage(message, "Exporting…", { isError: false });
  try {
    saveFile(await downloadFile(link.href));
    showMessage(message, "");
  } catch (error) {
    showMessage(message, error.detail, { isError: true });
  }
  link.removeAttribute("aria-disabled");
}

function saveFile({ blob, name }) {
  const href = URL.createObjectURL(blob);
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href));
}
