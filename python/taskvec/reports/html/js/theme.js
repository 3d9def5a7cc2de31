// Light, dark or what the system asks for; figures on a canvas are drawn again when it changes.
const redraws = new Set();
const redrawAll = () => redraws.forEach((draw) => draw());
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function themeSwitch(changed = () => {}) {
  const root = document.documentElement;
  const change = (value) => {
    if (value === "auto") delete root.dataset.theme;
    else root.dataset.theme = value;
    redrawAll();
    changed(value);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    renderAll();
    redrawAll();
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    redrawAll();
  });
  addEventListener("resize", later(redrawAll));
  const options = [
    ["auto", "as the system"],
    ["light", "light"],
    ["dark", "dark"],
  ];
  return choice("Colours", options, root.dataset.theme || "auto", change, { id: "theme-choice" });
}

// A figure that may leave the page: it is drawn again as long as it is there
function onTheme(element, draw) {
  const redraw = () => {
    if (element.isConnected) draw();
    else redraws.delete(redraw);
  };
  requestAnimationFrame(() => redraws.add(redraw));
}
