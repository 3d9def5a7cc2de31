// Pages that draw what the report's sections draw.
function pairPage(root) {
  const [i, j] = DOC.ends;
  const view = { metric: GIVEN.metric || "captured", layer: GIVEN.layer ? Number(GIVEN.layer) : null };
  const body = h("div", { class: "pair" });
  const turn = h("a", { href: pageAddress("pair", { source: addressName(j), target: addressName(i) }) }, "Exchange the two");
  function draw() {
    body.replaceChildren(...pairBody(i, j, view, redraw).filter(Boolean));
  }
  function redraw() {
    remember({ metric: view.metric, layer: view.layer });
    draw();
  }
  root.append(h("p", {}, turn), body);
  draw();
}

function adapterPage(root) {
  const view = { kind: GIVEN.kind || "" };
  const i = DOC.adapter;
  const links = [
    ["all that it holds", pageAddress("pairs", { source: addressName(i) })],
    ["all that hold it", pageAddress("pairs", { target: addressName(i) })],
  ];
  const body = h("div");
  function draw() {
    body.replaceChildren(...oneAdapter(i, view, redraw).filter(Boolean));
  }
  function redraw() {
    remember({ kind: view.kind });
    draw();
  }
  root.append(body, h("p", {}, links.map(([words, href]) => [h("a", { href }, words), " "])));
  draw();
}

function graphPage(root) {
  const edges = DOC.fold ? fold(DOC.edges) : DOC.edges;
  const nodes = [...new Set(edges.flatMap((edge) => [edge.from, edge.to]))];
  root.append(
    h("p", { class: "note", role: "status" }, graphWords(nodes, edges, DOC.edges, DOC.passing)),
    h(
      "div",
      { class: "scroll graph", tabindex: "0", role: "region", "aria-label": "Inclusion graph" },
      nodes.length ? drawGraph(nodes, edges) : note("No pair passes."),
    ),
    graphNote(),
    partial(),
  );
}
