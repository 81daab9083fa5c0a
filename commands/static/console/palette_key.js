// Ctrl-K opens the palette at once, so that it gets every key that follows. What it finds is a module of its own, loaded
// when somebody first wants it.

import { element, update } from "./dom.js";

const KEYS = new Set(["ArrowDown", "ArrowUp", "Enter"]);

const input = element("input", {
  type: "text",
  role: "combobox",
  "aria-label": "Go to a vehicle, a command or a page",
  "aria-controls": "palette-options",
  "aria-expanded": "true",
  "aria-autocomplete": "list",
  placeholder: "Part of a VIN, make or model, or a page",
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
  input.value = "";
  dialog.showModal();
  input.focus();
  tell((palette) => palette.open());
}

document.body.append(dialog);
document.addEventListener("keydown", togglePalette);
input.addEventListener("input", () => tell((palette) => palette.findSoon()));
input.addEventListener("keydown", (event) => {
  if (!KEYS.has(event.key)) return;
  event.preventDefault();
  tell((palette) => palette.press(event.key));
});
