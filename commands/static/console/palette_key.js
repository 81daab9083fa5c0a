// Ctrl-K opens the palette, whose modules are loaded when somebody first wants it.

async function openPalette(event) {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  if (document.querySelector("dialog[open]:not(.palette)")) return;
  const { showPalette } = await import("./palette.js");
  showPalette();
}

document.addEventListener("keydown", openPalette);
