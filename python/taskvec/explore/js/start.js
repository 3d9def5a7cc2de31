// A page: its frame, its form, and what it shows.
const DRAWN = {
  overview: overviewPage,
  verdicts: verdictsPage,
  matrix: matrixPage,
  pair: pairPage,
  pairs: pairsPage,
  graph: graphPage,
  map: mapSection,
  adapters: adaptersPage,
  adapter: adapterPage,
  tables: tablesSection,
  answers: answersPage,
  sql: sqlPage,
  methods: methodsSection,
};

function navigation() {
  const pages = DOC.nav.map(([name, title]) =>
    h("li", {}, h("a", { href: pageAddress(name), "aria-current": name === DOC.page ? "page" : null }, title)),
  );
  const saved = DOC.saved.map(([name, address]) =>
    h(
      "li",
      { class: "saved" },
      h("a", { href: `/${address}` }, name),
      button("×", () => changeSaved("DELETE", { name }), { "aria-label": `Remove ${name}`, class: "link" }),
    ),
  );
  const name = h("input", { type: "text", id: "saved-name", maxlength: "100", placeholder: "name" });
  const keep = h("form", { class: "keep" }, h("label", { for: "saved-name" }, "Keep this view as"), name, h("button", { id: "keep" }, "Keep"));
  keep.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = addressWith({ page: GIVEN.page }).slice(1);
    if (name.value.trim()) changeSaved("POST", { name: name.value, address });
  });
  return [
    h("ul", {}, pages),
    h("h2", { class: "aside" }, "Kept views"),
    DOC.saved_error ? h("p", { class: "warning" }, DOC.saved_error) : h("ul", {}, saved, h("li", {}, keep)),
  ];
}

async function changeSaved(method, one) {
  const headers = { "Content-Type": "application/json" };
  const found = await fetch("/saved", { method, headers, body: JSON.stringify(one) });
  if (!found.ok) {
    say(await found.text());
    return;
  }
  DOC.saved = await found.json();
  document.getElementById("nav").replaceChildren(...navigation());
  say(method === "POST" ? "Kept" : "Removed");
}

function state() {
  if (!DOC.progress) return `${DOC.result}, read at ${DOC.read_at}`;
  const { done, units, writer } = DOC.progress;
  const who = writer ? `computed by ${writer}` : "nobody computes it";
  return `${DOC.result}: ${percent(done / units)} of the sweep at ${DOC.read_at}, ${who}; what is missing is left out`;
}

async function start() {
  const kept = localStorage.getItem("taskvec-theme");
  if (kept && kept !== "auto") document.documentElement.dataset.theme = kept;
  await unpack();
  document.getElementById("summary").textContent = state();
  document.getElementById("theme").append(themeSwitch((value) => localStorage.setItem("taskvec-theme", value)));
  document.getElementById("nav").append(...navigation());
  const main = document.getElementById("main");
  const body = h("div", { class: "body" });
  main.append(h("section", { id: DOC.page }, body));
  if (DOC.lams.length > 1) {
    const options = DOC.lams.map((lam, k) => [k, `λ = ${short(lam)}`]);
    body.append(h("div", { class: "controls" }, choice("Sparsity", options, GIVEN.lam || 0, (lam) => go(pageAddress(DOC.page, { ...GIVEN, lam })), { id: "lam" })));
  }
  if (DOC.reading) body.append(note("The result is being read. This page asks again in a second."));
  else if (DOC.error && DOC.page !== "sql") {
    body.append(h("p", { class: "warning", role: "alert" }, DOC.error), h("p", {}, h("a", { href: pageAddress(DOC.page) }, "Ask anew")));
  } else {
    if (DOC.form && DOC.page !== "sql") body.append(pageForm(DOC.form));
    DRAWN[DOC.page](body);
  }
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
}

start();
