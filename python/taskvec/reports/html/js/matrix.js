// What the heat map shows: a metric of every pair, of the whole update or of some kinds and layers.
const orderOf = () => array("tree.order").data;
const firstLabel = () => ["task", ...Object.keys(DOC.labels || {})].find((name) => name in (DOC.labels || {})) || "";
const firstLabels = () => (DOC.labels || {})[firstLabel()];

function unitName([from, to], most) {
  const order = orderOf();
  if (to - from === 1) return clip(nameOf(order[from]), most);
  const names = Array.from(order.slice(from, Math.min(to, from + 12)), nameOf);
  return clip(`${to - from} adapters: ${names.join(", ")}`, most);
}

// Neighbours of one label, task where there is one: [from, to) of units
function labelRuns(units) {
  const labels = firstLabels();
  if (!labels) return [];
  const order = orderOf();
  const runs = [];
  units.forEach(([from, to], u) => {
    const found = new Set(Array.from(order.slice(from, to), (i) => labels[i]));
    const label = found.size === 1 ? [...found][0] : "";
    const last = runs[runs.length - 1];
    if (last && last.label === label) last.to = u + 1;
    else runs.push({ label, from: u, to: u + 1 });
  });
  return runs.filter((run) => run.label);
}

const unitsOf = (ends, from, to) => {
  const units = [];
  for (let u = 0; u + 1 < ends.length; u++)
    if (ends[u] >= from && ends[u + 1] <= to) units.push([ends[u], ends[u + 1]]);
  return units;
};
const single = (from, to) => Array.from({ length: to - from }, (_, k) => [from + k, from + k + 1]);

// Mean over the pairs of two units
function between(metric, rows, columns) {
  if (metric === "asymmetry") return between("captured", rows, columns) - between("captured", columns, rows);
  const [order, N] = [orderOf(), DOC.adapters.length];
  const { data } = array(`matrix.${metric}`);
  let [sum, count] = [0, 0];
  for (let a = rows[0]; a < rows[1]; a++) {
    for (let b = columns[0]; b < columns[1]; b++) {
      const value = data[order[a] * N + order[b]];
      if (value === value) {
        sum += value;
        count++;
      }
    }
  }
  return count ? sum / count : NaN;
}

function wholePlane(metric, rowUnits, columnUnits) {
  const columns = columnUnits.length;
  const values = new Float32Array(rowUnits.length * columns);
  if ([...rowUnits, ...columnUnits].every(([from, to]) => to - from === 1)) {
    const [order, N, asymmetry] = [orderOf(), DOC.adapters.length, metric === "asymmetry"];
    const { data } = array(`matrix.${asymmetry ? "captured" : metric}`);
    rowUnits.forEach(([a], row) => {
      const i = order[a];
      for (let column = 0; column < columns; column++) {
        const j = order[columnUnits[column][0]];
        values[row * columns + column] = asymmetry ? data[i * N + j] - data[j * N + i] : data[i * N + j];
      }
    });
    return values;
  }
  rowUnits.forEach((row, a) =>
    columnUnits.forEach((column, b) => {
      values[a * columns + b] = between(metric, row, column);
    }),
  );
  return values;
}

// Pooled over the chosen modules, between the clusters that the file has modules of
function slicedPlane(metric, modules) {
  if (metric === "asymmetry") {
    const one = slicedPlane("captured", modules);
    const C = Math.sqrt(one.length);
    return one.map((value, cell) => value - one[(cell % C) * C + Math.floor(cell / C)]);
  }
  const {
    data,
    shape: [, C],
  } = array(`slices.${metric}`);
  const weight = array("slices.weight").data;
  const [sums, sizes] = [new Float64Array(C * C), new Float64Array(C * C)];
  for (const m of modules) {
    for (let cell = 0; cell < C * C; cell++) {
      const value = data[m * C * C + cell];
      if (Number.isNaN(value)) continue;
      const size = metric === "captured" ? weight[m * C + (cell % C)] : 1;
      sums[cell] += value * size;
      sizes[cell] += size;
    }
  }
  return Float32Array.from(sums, (sum, cell) => (sizes[cell] > 0 ? sum / sizes[cell] : NaN));
}

function matrixSection(root) {
  const N = DOC.adapters.length;
  const { path, layer, kind } = DOC.modules;
  const kinds = [...new Set(kind)];
  const layers = layer.filter((one) => one >= 0);
  const [first, last] = layers.length ? [Math.min(...layers), Math.max(...layers)] : [0, 0];
  const view = {
    metric: "captured",
    kind: "",
    from: first,
    to: last,
    captured: 0,
    q: 1,
    rows: [0, N],
    columns: [0, N],
  };
  const metrics = DOC.matrix.known.filter((name) => name in METRICS);
  if (metrics.includes("captured")) metrics.push("asymmetry");
  const sliced = () => view.kind !== "" || view.from > first || view.to < last;
  const whole = () => view.rows[1] - view.rows[0] === N && view.columns[1] - view.columns[0] === N;
  let plane;

  function build() {
    const ends = array(sliced() ? "slices.ends" : "tree.clusters").data;
    const byCluster = whole() && (sliced() || DOC.matrix.by_cluster);
    const rowUnits = byCluster ? unitsOf(ends, 0, N) : single(...view.rows);
    const columnUnits = byCluster ? rowUnits : single(...view.columns);
    const chosenModules = path
      .map((_, m) => m)
      .filter(
        (m) =>
          (!view.kind || kind[m] === view.kind) &&
          (layer[m] < 0 ? view.from === first && view.to === last : layer[m] >= view.from && layer[m] <= view.to),
      );
    const make = (metric) =>
      sliced() ? slicedPlane(metric, chosenModules) : wholePlane(metric, rowUnits, columnUnits);
    const values = make(view.metric);
    const { both, show, title } = METRICS[view.metric];
    const below = new Uint8Array(values.length);
    const captured = view.captured > 0 ? (view.metric === "captured" ? values : make("captured")) : null;
    const columns = columnUnits.length;
    const order = orderOf();
    for (let cell = 0; cell < values.length && (captured || view.q < 1); cell++) {
      const [row, column] = [rowUnits[Math.floor(cell / columns)], columnUnits[cell % columns]];
      if (captured && captured[cell] < view.captured) below[cell] = 1;
      if (view.q < 1 && row[1] - row[0] === 1 && column[1] - column[0] === 1) {
        if (!(qOf(order[row[0]], order[column[0]]) <= view.q)) below[cell] = 1;
      }
    }
    plane = {
      rows: rowUnits.length,
      columns,
      rowUnits,
      columnUnits,
      values,
      below,
      both,
      show,
      title,
      most: mostShown(values),
    };
    back.hidden = whole();
    set(plane);
    state.textContent = describeView(byCluster, chosenModules.length);
  }

  function describeView(byCluster, modules) {
    const what = sliced() ? `${counted(modules, "module")} of ${path.length}` : "the whole update";
    const units =
      byCluster && plane.rows < N
        ? `${plane.rows} clusters of ${counted(N, "adapter")}: means over their pairs. Enter or a click opens a cluster`
        : `${plane.rows} × ${plane.columns} adapters`;
    return `${METRICS[view.metric].title}: ${METRICS[view.metric].words}; ${what}; ${units}.`;
  }

  function describe(row, column) {
    const value = plane.values[row * plane.columns + column];
    const hatched = plane.below[row * plane.columns + column] ? ", below the threshold" : "";
    const ends = [plane.rowUnits[row], plane.columnUnits[column]].map((unit) => unitName(unit, 60));
    return `${ends.join(" → ")}: ${plane.title} ${plane.show(value)}${hatched}`;
  }

  function press(row, column) {
    const [one, two] = [plane.rowUnits[row], plane.columnUnits[column]];
    if (one[1] - one[0] === 1 && two[1] - two[0] === 1) {
      const order = orderOf();
      openPair(order[one[0]], order[two[0]]);
      return;
    }
    Object.assign(view, { rows: [...one], columns: [...two], kind: "", from: first, to: last });
    resetSlices();
    build();
    say(`${one[1] - one[0]} × ${two[1] - two[0]} adapters`);
  }

  const redo = later(build, 60);
  const controls = h("div", { class: "controls" });
  const state = h("p", { class: "note", role: "status" });
  const back = button(
    "Back to all adapters",
    () => {
      Object.assign(view, { rows: [0, N], columns: [0, N] });
      build();
    },
    { id: "matrix-back", hidden: true },
  );
  let resetSlices = () => {};
  controls.append(
    choice(
      "Metric",
      metrics.map((name) => [name, METRICS[name].title]),
      view.metric,
      (metric) => {
        view.metric = metric;
        build();
      },
      { id: "matrix-metric" },
    ),
  );
  if (DOC.matrix.slices.length) {
    const slicing = () => {
      Object.assign(view, { rows: [0, N], columns: [0, N] });
      redo();
    };
    const kindChoice = choice(
      "Kind",
      [["", "all kinds"], ...kinds.map((one) => [one, one])],
      "",
      (one) => {
        view.kind = one;
        slicing();
      },
      { id: "matrix-kind" },
    );
    const low = slider(
      "From layer",
      { min: first, max: last, step: 1, value: first, words: String, id: "matrix-from" },
      (one) => {
        view.from = Math.min(one, view.to);
        slicing();
      },
    );
    const high = slider(
      "to layer",
      { min: first, max: last, step: 1, value: last, words: String, id: "matrix-to" },
      (one) => {
        view.to = Math.max(one, view.from);
        slicing();
      },
    );
    controls.append(kindChoice, low, high);
    resetSlices = () => {
      kindChoice.querySelector("select").value = "";
      [
        [low, first],
        [high, last],
      ].forEach(([one, value]) => {
        one.querySelector("input").value = String(value);
        one.querySelector("output").textContent = String(value);
      });
    };
  } else controls.append(note("Kinds and layers were not kept: sweep with --keep all."));
  controls.append(
    shareSlider("Hatched below captured", 0, "matrix-captured", (one) => {
      view.captured = one;
      redo();
    }),
  );
  if (DOC.matrix.known.includes("q")) {
    controls.append(
      qSlider("and above q", "matrix-q", (one) => {
        view.q = one;
        redo();
      }),
    );
  }
  root.append(controls, state, back);
  const figure = h("div", { class: "figure" });
  root.append(
    figure,
    note(
      `Rows are sources, columns targets. Trees: ${DOC.matrix.linkage} linkage of ${DOC.matrix.distance}. `,
      "Colours go with the root of the value, up to all but the largest half per cent of the cells.",
    ),
  );
  const set = heatmap(figure, { describe, press });
  build();
}
