// Ctrl-K opens the palette at once, so that it gets every key that follows. What it finds is a module of its own, loaded
// when somebody first wants it.

import { element, update } from "./dom.js";

const KEYS = new Set(["ArrowDown", "ArrowUp", "Enter"]);

const PLACES = "Go to a vehicle, a command or a page";

const input = element("input", {
  type: "text",
  role: "combobox",
  "aria-controls": "palette-options",
  "aria-expanded": "true",
  "aria-autocomplete": "list",
  maxlength: 100,
  autocomplete: "off",
  autocapitalize: "off",
  spellcheck: "false",
});
const list = element("ul", { id: "palette-options", role: "listbox", "aria-label": "Found" });
const dialog = element("dialog", { class: "palette", "aria-label": "Go to" }, input, list);
let loading = null;

/** Tell the palette, in the order of the keys. */
async function tell(act) {
  loading ??= import("./palette.js").then(({ Palette }) => new Palette({ dialog, input, list }));
  const palette = await loading.catch(() => null);
  if (palette) return act(palette);
  loading = null;
  update(list, element("li", { class: "muted" }, "The palette could not be loaded. Check your connection."));
}

function togglePalette(event) {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  if (document.querySelector("dialog[open]:not(.palette)")) return;
  if (dialog.open) return dialog.close();
  openPalette();
}

/** Let the user go anywhere, or choose a vehicle for a task: {label, addressFor(vehicleId)}. */
export function openPalette(task = null) {
  input.value = "";
  input.setAttribute("aria-label", task?.label ?? PLACES);
  input.placeholder = task ? `${task.label}: part of its VIN` : "Part of a VIN, make or model, or a page or action";
  dialog.showModal();
  input.focus();
  tell((palette) => palette.open(task));
}

document.body.append(dialog);
document.addEventListener("keydown", togglePalette);
input.addEventListener("input", () => tell((palette) => palette.findSoon()));
input.addEventListener("keydown", (event) => {
  if (!KEYS.has(event.key)) return;
  event.preventDefault();
  tell((palette) => palette.press(event.key));
});
