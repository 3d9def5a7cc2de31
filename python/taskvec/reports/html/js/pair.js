// One pair: its verdict, curves over layers by kind in both directions, spectra, and its modules.
const CURVES = [
  ["captured", "captured"],
  ["rec", "REC"],
  ["cosine", "cosine"],
  ["l1", "L₁"],
  ["entropy_projected", "H(S₂)"],
  ["excess", "excess"],
];

const pairRows = new Map((DOC.pairs || []).map((pair, row) => [`${pair.source},${pair.target}`, row]));
const rowOf = (i, j) => pairRows.get(`${i},${j}`);

// A number of the whole update; of pairs that stand in the document as exactly as it has them
function pooled(metric, i, j) {
  const pair = DOC.pairs[rowOf(i, j)];
  if (pair) return metric === "above_chance" ? difference(pair.rec, pair.rec_chance) : pair[metric];
  if (i === j || !has(`matrix.${metric}`)) return NaN;
  return array(`matrix.${metric}`).data[i * DOC.adapters.length + j];
}

const difference = (one, other) => (known(one) && known(other) ? one - other : NaN);

// of a pair of adapters; NaN where the sweep has none
function qOf(i, j) {
  const pair = DOC.pairs[rowOf(i, j)];
  return pair ? pair.q : 10 ** -pooled("log_q", i, j);
}

function pairSection(root) {
  const names = DOC.adapters.map((name, i) => [i, clip(name, 60)]);
  const pick = (end, label, id) =>
    choice(
      label,
      names,
      0,
      (value) => {
        const next = [...(chosen.pair || firstPair())];
        next[end] = Number(value);
        choose("pair", next, { go: false });
      },
      { id },
    );
  const [source, target] = [pick(0, "Source", "pair-source"), pick(1, "Target", "pair-target")];
  const turn = button("Exchange the two", () => choose("pair", [...chosen.pair].reverse(), { go: false }), {
    id: "pair-turn",
  });
  const body = h("div", { class: "pair" });
  root.append(h("div", { class: "controls" }, source, target, turn), body);
  const view = { metric: "captured", layer: null };
  function draw() {
    const [i, j] = chosen.pair;
    source.querySelector("select").value = String(i);
    target.querySelector("select").value = String(j);
    body.replaceChildren(...pairBody(i, j, view, draw).filter(Boolean));
  }
  on("pair", draw);
  chosen.pair = chosen.pair || firstPair();
  draw();
}

const firstPair = () => (DOC.pairs.length ? [DOC.pairs[0].source, DOC.pairs[0].target] : [0, 1]);

function pairBody(i, j, view, redraw) {
  const parts = [h("h3", {}, `${nameOf(i)} → ${nameOf(j)}`)];
  if (i === j) return [...parts, note("An adapter and itself: choose two.")];
  const [there, back] = [rowOf(i, j), rowOf(j, i)];
  const pair = there === undefined ? null : DOC.pairs[there];
  parts.push(
    pair
      ? h("p", { class: "sentence" }, pair.sentence)
      : note(
          "This pair is not among those whose modules the report keeps: ",
          "what the whole update says is below, and taskvec project says the rest.",
        ),
  );
  if (pair)
    parts.push(...pair.warnings.map((text) => h("p", { class: "warning" }, h("strong", {}, "Caution: "), text)));
  parts.push(
    table({
      title: "The whole update, both directions",
      columns: [
        { key: "way", title: "projection" },
        { key: "captured", title: "captured", format: "percent" },
        { key: "rec", title: "REC", format: "f3" },
        { key: "above_chance", title: "REC − chance", format: "s3" },
        { key: "q", title: "q", format: "short" },
        { key: "cosine", title: "cosine", format: "s3" },
        { key: "other", title: "captured of other layers", format: "percent" },
        { key: "t", title: "t", format: "short" },
      ],
      rows: [
        [i, j, there],
        [j, i, back],
      ].map(([a, b, row]) => ({
        way: `${nameOf(a)} → ${nameOf(b)}`,
        q: qOf(a, b),
        ...Object.fromEntries(["captured", "rec", "above_chance", "cosine"].map((name) => [name, pooled(name, a, b)])),
        other: row === undefined ? null : DOC.pairs[row].other_layers.captured.mean,
        t: row === undefined ? null : DOC.pairs[row].other_layers.captured.t,
      })),
    }),
  );
  if (!pair) return parts;
  if (!DOC.pair_metrics.length) return [...parts, note("Modules by themselves were not kept: sweep with --keep all.")];
  parts.push(
    h(
      "div",
      { class: "controls" },
      choice(
        "Along the layers",
        CURVES.filter(([name]) => DOC.pair_metrics.includes(name)),
        view.metric,
        (metric) => {
          view.metric = metric;
          redraw();
        },
        { id: "pair-metric" },
      ),
    ),
  );
  parts.push(
    h(
      "div",
      { class: "charts" },
      [
        [i, j, there],
        [j, i, back],
      ].map(([a, b, row]) => layerCurves(a, b, row, view.metric)),
    ),
  );
  parts.push(spectra(i, j, there, view, redraw), moduleTable(i, j, there));
  return parts;
}

// Every metric of a row of DOC.pairs, by module
function modulesOf(row) {
  const L = DOC.modules.path.length;
  const of = (name) => array(`pairs.${name}`).data.subarray(row * L, (row + 1) * L);
  return Object.fromEntries(DOC.pair_metrics.map((name) => [name, of(name)]));
}

function layerCurves(i, j, row, metric) {
  const values = modulesOf(row);
  const { layer, kind } = DOC.modules;
  const kinds = [...new Set(kind)].filter((one) => kind.some((k, m) => k === one && layer[m] >= 0));
  const title = CURVES.find(([name]) => name === metric)[1];
  const series = [];
  const byLayer = (one, at) =>
    [
      ...d3.rollup(
        kind.map((_, m) => m).filter((m) => kind[m] === one && layer[m] >= 0 && known(at(m))),
        (some) => d3.mean(some, at),
        (m) => layer[m],
      ),
    ].sort((a, b) => a[0] - b[0]);
  kinds.forEach((one, k) => {
    if (metric === "rec" && values.rec_chance) {
      const chance = byLayer(one, (m) => values.rec_chance[m]);
      const sd = new Map(byLayer(one, (m) => values.rec_chance_sd[m]));
      series.push({
        name: `${one}: chance ± sd`,
        colour: labelColour(k),
        dash: "2 3",
        points: chance,
        band: chance.map(([at, mean]) => [at, mean - sd.get(at), mean + sd.get(at)]),
      });
    }
    series.push({ name: one, colour: labelColour(k), points: byLayer(one, (m) => values[metric][m]) });
  });
  const other = DOC.pairs[row].other_layers[metric];
  if (other && known(other.mean)) {
    const ends = d3.extent(layer.filter((one) => one >= 0));
    series.push({
      name: "other layers ± sd",
      colour: "var(--quiet)",
      dash: "6 4",
      points: ends.map((at) => [at, other.mean]),
      band: ends.map((at) => [at, other.mean - other.sd, other.mean + other.sd]),
    });
  }
  return chart({ title: `${clip(nameOf(i), 40)} → ${clip(nameOf(j), 40)}: ${title}`, x: "layer", y: title, series });
}

function spectra(i, j, row, view, redraw) {
  const { path } = DOC.modules;
  if (!has("adapters.spectrum") || array("adapters.spectrum").shape[0] !== path.length) return null;
  const there = path.map((_, m) => m).filter((m) => known(modulesOf(row).rec[m]));
  if (!there.includes(view.layer)) view.layer = there[0];
  const lines = [
    ["S₁ of the source", spectrumOf(view.layer, i), 0],
    ["S₁ of the target", spectrumOf(view.layer, j), 1],
  ];
  const projected = projectedSpectrum(row, view.layer);
  if (projected) lines.push(["S₂: the target on the source's directions", projected, 2]);
  return h(
    "div",
    {},
    h(
      "div",
      { class: "controls" },
      choice(
        "Spectra of",
        there.map((m) => [m, path[m]]),
        view.layer,
        (m) => {
          view.layer = Number(m);
          redraw();
        },
        { id: "pair-layer" },
      ),
    ),
    chart({
      title: `Singular values: ${path[view.layer]}`,
      x: "direction",
      y: "singular value",
      series: lines.map(([name, values, k]) => ({
        name,
        colour: labelColour(k),
        points: Array.from(values, (value, d) => [d + 1, value]),
      })),
    }),
    projected
      ? null
      : note("S₂ is not part of a result: taskvec report --adapters PATH computes it for the strongest pairs."),
  );
}

// Where an adapter is in the arrays of adapters: of all, or of those that the document holds
const heldAt = (i) => (DOC.held ? DOC.held.indexOf(i) : i);

// S of one adapter and module, without the zeros that pad it
function spectrumOf(m, i) {
  const {
    data,
    shape: [, N, K],
  } = array("adapters.spectrum");
  const at = m * N + heldAt(i);
  return data.subarray(at * K, (at + 1) * K).filter((value) => value > 0);
}

function projectedSpectrum(row, m) {
  if (!has("pairs.projected")) return null;
  const {
    data,
    shape: [, L, K],
  } = array("pairs.projected");
  const values = data.subarray((row * L + m) * K, (row * L + m + 1) * K); // empty beyond the pairs that have it
  return known(values[0]) ? values.filter((value) => !Number.isNaN(value)) : null;
}

const MODULE_COLUMNS = [
  ["captured", "captured", "percent"],
  ["captured_out", "out", "percent"],
  ["captured_in", "in", "percent"],
  ["rec", "REC", "f3"],
  ["rec_chance", "chance", "f3"],
  ["l1", "L₁", "short"],
  ["l2", "L₂", "short"],
  ["entropy_projected", "H(S₂)", "f3"],
  ["residual", "residual", "f3"],
  ["excess", "excess", "short"],
  ["cosine", "cosine", "s3"],
  ["overlap_u", "overlap U", "f3"],
  ["overlap_v", "overlap V", "f3"],
];

function moduleTable(i, j, row) {
  const values = modulesOf(row);
  const columns = MODULE_COLUMNS.filter(([name]) => name in values);
  const rows = DOC.modules.path
    .map((module, m) => ({ module, ...Object.fromEntries(columns.map(([name]) => [name, values[name][m]])) }))
    .filter((one) => known(one.rec));
  return table({
    title: `Modules of ${nameOf(i)} → ${nameOf(j)}`,
    rows,
    columns: [{ key: "module", title: "module" }, ...columns.map(([key, title, format]) => ({ key, title, format }))],
  });
}
