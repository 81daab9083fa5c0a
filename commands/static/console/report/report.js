// The report of a scan: printed by a button, for those who do not know the shortcut.

document.getElementById("print").addEventListener("click", () => print());
