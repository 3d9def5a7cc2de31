// The inclusion graph: an edge from what holds to what is held, laid out by dagre so that containers stand above.
const MOST_EDGES = 250;

// Pairs of which one direction passes: how many, and the strongest `most` as edges; `both`: so does the other way
function passing(captured, q, most) {
  const N = DOC.adapters.length;
  const { data } = array("matrix.captured");
  const logs = q < 1 && DOC.matrix.known.includes("q") ? array("matrix.log_q").data : null;
  const least = -Math.log10(q);
  // of i → j; 0 when it does not pass
  const share = (i, j) => {
    const cell = i * N + j;
    return data[cell] >= captured && (!logs || logs[cell] >= least) ? data[cell] : 0;
  };
  const values = new Float32Array((N * (N - 1)) / 2);
  let count = 0;
  for (let i = 0; i < N; i++) {
    for (let j = i + 1; j < N; j++) {
      const value = Math.max(share(i, j), share(j, i));
      if (value > 0) values[count++] = value;
    }
  }
  const cutoff = count > most ? values.subarray(0, count).sort()[count - most] : 0;
  const edges = [];
  for (let i = 0; i < N && count > 0; i++) {
    for (let j = i + 1; j < N; j++) {
      const [there, back] = [share(i, j), share(j, i)];
      const [from, to] = there >= back ? [i, j] : [j, i];
      const value = Math.max(there, back);
      if (value > 0 && value >= cutoff) edges.push({ from, to, captured: value, both: there > 0 && back > 0 });
    }
  }
  return { count, edges: edges.sort((one, two) => two.captured - one.captured).slice(0, most) };
}

// Without those that a longer way of stronger edges says already; edges come the strongest first
function fold(edges) {
  const out = new Map();
  const reaches = (from, to) => {
    const seen = new Set([from]);
    const stack = [from];
    while (stack.length) {
      for (const next of out.get(stack.pop()) || []) {
        if (next === to) return true;
        if (!seen.has(next)) stack.push(next);
        seen.add(next);
      }
    }
    return false;
  };
  return edges.filter((edge) => {
    if (reaches(edge.from, edge.to)) return false;
    out.set(edge.from, [...(out.get(edge.from) || []), edge.to]);
    return true;
  });
}

function graphSection(root) {
  const start = firstThreshold();
  const view = { captured: start, q: 1, fold: true };
  const figure = h("div", { class: "scroll graph", tabindex: "0", role: "region", "aria-label": "Inclusion graph" });
  const state = h("p", { class: "note", role: "status" });
  const redo = later(draw, 80);
  const controls = h(
    "div",
    { class: "controls" },
    shareSlider("Captured of at least", start, "graph-captured", (one) => {
      view.captured = one;
      redo();
    }),
  );
  if (DOC.matrix.known.includes("q")) {
    controls.append(
      qSlider("q of at most", "graph-q", (one) => {
        view.q = one;
        redo();
      }),
    );
  }
  controls.append(
    checkbox(
      "Fold transitive edges",
      true,
      (one) => {
        view.fold = one;
        draw();
      },
      "graph-fold",
    ),
  );
  function draw() {
    const { count, edges: kept } = passing(Math.max(view.captured, 1e-6), view.q, MOST_EDGES);
    const edges = view.fold ? fold(kept) : kept;
    const nodes = [...new Set(edges.flatMap((edge) => [edge.from, edge.to]))];
    figure.replaceChildren(nodes.length ? drawGraph(nodes, edges) : note("No pair passes."));
    state.textContent = graphWords(nodes, edges, kept, count);
  }
  root.append(
    controls,
    state,
    figure,
    graphNote(),
  );
  draw();
}

// Of `count` pairs that pass the strongest are `kept`, and `edges` of these are not folded
const graphWords = (nodes, edges, kept, count) =>
  `${counted(nodes.length, "adapter")}, ${counted(edges.length, "edge")}` +
  (kept.length > edges.length ? `, ${kept.length - edges.length} folded` : "") +
  (count > kept.length ? `; the weakest ${counted(count - kept.length, "pair")} left out` : "") +
  ".";

const graphNote = () =>
  note(
    "An arrow goes from the adapter that holds to the one that is held, which stands ",
    "below; its width is the share. Two heads: both hold that much, and the arrow starts at the one that holds ",
    "more. ",
    "Adapters without an edge are not drawn.",
  );

// So that some forty edges stand at first; a step of the slider may stand between many
function firstThreshold() {
  const wanted = Math.max(5, Math.min(40, DOC.adapters.length));
  const { edges } = passing(1e-6, 1, wanted);
  if (!edges.length) return 0;
  const root = Math.sqrt(edges[edges.length - 1].captured) * 100;
  const [most, fewest] = [Math.floor(root), Math.ceil(root)].map((step) => (step / 100) ** 2);
  return passing(most, 1, wanted).count > 1.5 * wanted && passing(fewest, 1, wanted).count > 0 ? fewest : most;
}

// One graph a component, side by side in as many rows as they need
const GRAPH_WIDTH = 1000;

function components(nodes, edges) {
  const near = new Map(nodes.map((i) => [i, []]));
  edges.forEach((edge) => {
    near.get(edge.from).push(edge.to);
    near.get(edge.to).push(edge.from);
  });
  const seen = new Set();
  return nodes.flatMap((start) => {
    if (seen.has(start)) return [];
    const part = [start];
    seen.add(start);
    for (const i of part) {
      near.get(i).forEach((j) => {
        if (!seen.has(j)) part.push(j);
        seen.add(j);
      });
    }
    return [part];
  });
}

function laidOut(nodes, edges) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 14, ranksep: 56, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  nodes.forEach((i) => graph.setNode(String(i), { width: 7.2 * shortName(i).length + 18, height: 26 }));
  edges.forEach((edge) => graph.setEdge(String(edge.from), String(edge.to), { edge }));
  dagre.layout(graph);
  return graph;
}

const shortName = (i) => clip(nameOf(i), 22);

function drawGraph(nodes, edges) {
  const parts = components(nodes, edges).sort((one, two) => two.length - one.length);
  const most = d3.max(edges, (edge) => edge.captured) || 1;
  const head = newId("head");
  let [x, y, row, width] = [0, 0, 0, 0];
  const groups = parts.map((part) => {
    const inside = new Set(part);
    const graph = laidOut(
      part,
      edges.filter((edge) => inside.has(edge.from)),
    );
    const size = graph.graph();
    if (x > 0 && x + size.width > GRAPH_WIDTH) [x, y, row] = [0, y + row, 0];
    const at = `translate(${x.toFixed(1)},${y.toFixed(1)})`;
    x += size.width;
    row = Math.max(row, size.height);
    width = Math.max(width, x);
    return s("g", { transform: at }, drawPart(graph, part, most, head));
  });
  const height = y + row;
  const arrow = s(
    "marker",
    {
      id: head,
      viewBox: "0 0 10 10",
      refX: 9,
      refY: 5,
      markerWidth: 9,
      markerHeight: 9,
      markerUnits: "userSpaceOnUse",
      orient: "auto-start-reverse",
    },
    s("path", { d: "M0,0L10,5L0,10z", class: "head" }),
  );
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Inclusion graph" },
    s("defs", {}, arrow),
    groups,
  );
}

function drawPart(graph, nodes, most, head) {
  const line = d3
    .line(
      (p) => p.x,
      (p) => p.y,
    )
    .curve(d3.curveBumpY);
  // from the foot of the one to the head of the other: from a side it would cross their neighbours
  const way = ({ v, w }, points) => {
    const [from, to] = [graph.node(v), graph.node(w)];
    const between = points.length > 3 ? points.slice(1, -1) : [];
    return [{ x: from.x, y: from.y + from.height / 2 }, ...between, { x: to.x, y: to.y - to.height / 2 }];
  };
  return [
    s(
      "g",
      { class: "edges" },
      graph.edges().map((one) => {
        const { points, edge } = graph.edge(one);
        return s(
          "path",
          {
            d: line(way(one, points)),
            "stroke-width": (0.8 + (5 * edge.captured) / most).toFixed(2),
            "marker-end": `url(#${head})`,
            "marker-start": edge.both ? `url(#${head})` : null,
          },
          s(
            "title",
            {},
            `${nameOf(edge.from)} holds ${percent(edge.captured)} of ${nameOf(edge.to)}`,
            edge.both ? ", and the other way" : "",
          ),
        );
      }),
    ),
    s(
      "g",
      { class: "nodes" },
      nodes.map((i) => {
        const { x, y, width: w, height: tall } = graph.node(String(i));
        return s(
          "g",
          {
            tabindex: "0",
            role: "button",
            transform: `translate(${x - w / 2},${y - tall / 2})`,
            onclick: () => openAdapter(i),
            onkeydown: (event) => {
              if (event.key === "Enter") openAdapter(i);
            },
          },
          s("rect", { width: w, height: tall, rx: 5 }),
          s("title", {}, nameOf(i)),
          s("text", { x: w / 2, y: 17, "text-anchor": "middle", "aria-hidden": "true" }, shortName(i)),
        );
      }),
    ),
  ];
}
