// The colours of the API documentation: as chosen in the console, or those of the system. It runs before the page is
// drawn, so that nothing flashes.

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function setColours() {
  const { theme } = document.documentElement.dataset;
  document.documentElement.classList.toggle("dark-mode", theme ? theme === "dark" : systemIsDark.matches);
}

systemIsDark.addEventListener("change", setColours);
setColours();
