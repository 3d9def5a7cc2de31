// The sections in their order; each is drawn when it comes near the window, so that the page opens at once.
const SECTIONS = [
  ["verdicts", "Verdicts", verdictsSection],
  ["matrix", "Matrix", matrixSection],
  ["pair", "Pair", pairSection],
  ["tables", "Tables", tablesSection],
  ["graph", "Inclusion graph", graphSection],
  ["map", "Map", mapSection],
  ["adapters", "Adapters", adaptersSection],
  ["answers", "Side by side", answersSection],
  ["methods", "Methods", methodsSection],
];
const drawn = new Set();

function render(id) {
  if (drawn.has(id)) return;
  drawn.add(id);
  const [, , draw] = SECTIONS.find(([one]) => one === id);
  draw(document.querySelector(`#${id} .body`));
}

const renderAll = () => SECTIONS.forEach(([id]) => render(id));
const show = (what) => render(what === "pair" ? "pair" : "adapters");

function goTo(what) {
  const heading = document.querySelector(`#${what === "pair" ? "pair" : "adapters"} h2`);
  heading.scrollIntoView();
  heading.focus({ preventScroll: true });
}

async function start() {
  await unpack();
  const main = document.getElementById("main");
  document.getElementById("summary").textContent = DOC.summary;
  document.getElementById("theme").append(themeSwitch());
  document.getElementById("nav").append(
    h(
      "ul",
      {},
      SECTIONS.map(([id, title]) => h("li", {}, h("a", { href: `#${id}` }, title))),
    ),
  );
  main.append(
    ...SECTIONS.map(([id, title]) =>
      h(
        "section",
        { id, "aria-labelledby": `${id}-title` },
        h("h2", { id: `${id}-title`, tabindex: "-1" }, title),
        h("div", { class: "body" }),
      ),
    ),
  );
  const near = new IntersectionObserver(
    (entries) =>
      entries
        .filter((entry) => entry.isIntersecting)
        .forEach((entry) => {
          near.unobserve(entry.target);
          render(entry.target.id);
        }),
    { rootMargin: "400px" },
  );
  main.querySelectorAll("section").forEach((section) => near.observe(section));
  readAddress();
  addEventListener("hashchange", readAddress);
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
}

start();
