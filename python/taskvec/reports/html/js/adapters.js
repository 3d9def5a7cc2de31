// Adapters: a table of all, and one by itself.
const NEIGHBOURS = 8;

function adaptersSection(root) {
  const names = DOC.adapters.map((name, i) => [i, clip(name, 60)]);
  const pick = choice("Adapter", names, chosen.adapter, (i) => choose("adapter", Number(i), { go: false }), {
    id: "adapter-name",
  });
  const view = { kind: "" };
  const body = h("div");
  const rows = DOC.summaries.rows.map((row, i) => ({ ...row, i }));
  root.append(
    sheet({ ...DOC.summaries, rows }, (row) => choose("adapter", row.i, { go: false })),
    h("div", { class: "controls" }, pick),
    body,
  );
  function draw() {
    pick.querySelector("select").value = String(chosen.adapter);
    body.replaceChildren(...oneAdapter(chosen.adapter, view, draw));
  }
  on("adapter", draw);
  draw();
}

function oneAdapter(i, view, redraw) {
  const facts = [
    ["hash", DOC.methods.hashes[i]],
    ...Object.entries(DOC.labels).map(([column, values]) => [column, values[i]]),
  ];
  const left = DOC.cautions
    .filter(({ adapter, text }) => adapter === i || (adapter === null && text.includes(nameOf(i))))
    .map(({ text }) => text);
  if (DOC.left_out[i]) left.push(`not compared: ${DOC.left_out[i]}`);
  return [
    h("h3", {}, nameOf(i)),
    h(
      "dl",
      {},
      facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    left.length
      ? h(
          "ul",
          { class: "cautions" },
          left.map((text) => h("li", {}, text)),
        )
      : note("No cautions, and nothing left out is known."),
    spectraByLayer(i, view, redraw),
    h(
      "div",
      { class: "charts" },
      neighbours("Holds most of", nearest("holds", i), (j) => openPair(i, j)),
      neighbours("Held most by", nearest("held", i), (j) => openPair(j, i)),
      neighbours("Nearest by cosine", nearest("cosine", i), (j) => openPair(i, j), "s3"),
    ),
  ];
}

// The others that a number of the pair is largest with, [{j, value}]: as the document has them, or of all
function nearest(which, i) {
  if (DOC.nearest) return DOC.nearest[which];
  const value = {
    holds: (j) => pooled("captured", i, j),
    held: (j) => pooled("captured", j, i),
    cosine: (j) => pooled("cosine", i, j),
  }[which];
  return d3
    .range(DOC.adapters.length)
    .filter((j) => j !== i && known(value(j)))
    .map((j) => ({ j, value: value(j) }))
    .sort((a, b) => b.value - a.value)
    .slice(0, NEIGHBOURS);
}

function neighbours(title, found, open, format = "percent") {
  return table({
    title,
    rows: found.map(({ j, value }) => ({ j, name: nameOf(j), value })),
    open: (row) => open(row.j),
    columns: [
      { key: "name", title: "adapter" },
      { key: "value", title: "value", format },
    ],
  });
}

// Rows are layers (of one kind), columns directions: shares of the module's ‖τ‖²
function spectraByLayer(i, view, redraw) {
  const { kind, layer, path } = DOC.modules;
  const {
    shape: [L],
  } = array("adapters.spectrum");
  if (L !== path.length) return note("Spectra of this many adapters are kept as means over modules alone.");
  const kinds = [...new Set(kind)].filter((one) => kind.some((k, m) => k === one && spectrumOf(m, i).length));
  if (!kinds.length) return note("No module has an update.");
  if (!kinds.includes(view.kind)) view.kind = kinds[0];
  const modules = d3
    .range(path.length)
    .filter((m) => kind[m] === view.kind && spectrumOf(m, i).length)
    .sort((a, b) => layer[a] - layer[b]);
  const spectra = modules.map((m) => spectrumOf(m, i));
  const columns = d3.max(spectra, (one) => one.length);
  const values = new Float32Array(modules.length * columns).fill(NaN);
  spectra.forEach((one, r) => {
    const whole = d3.sum(one, (value) => value * value);
    one.forEach((value, c) => {
      values[r * columns + c] = (value * value) / whole;
    });
  });
  const canvas = h("canvas", { role: "img", "aria-label": `Spectrum of ${view.kind} by layer` });
  const draw = () =>
    paintCells(
      canvas,
      { rows: modules.length, columns, values, below: new Uint8Array(values.length), most: 1, both: false },
      Math.min(520, Math.max(200, 24 * columns)),
      Math.min(400, Math.max(60, 16 * modules.length)),
    );
  draw();
  onTheme(canvas, draw);
  const participation = array("adapters.participation");
  const [, N] = participation.shape;
  const series = kinds.map((one, k) => ({
    name: one,
    colour: labelColour(k),
    points: d3
      .range(path.length)
      .filter((m) => kind[m] === one && layer[m] >= 0)
      .sort((a, b) => layer[a] - layer[b])
      .map((m) => [layer[m], participation.data[m * N + heldAt(i)]]),
  }));
  return h(
    "div",
    {},
    h(
      "div",
      { class: "controls" },
      choice(
        "Spectrum of",
        kinds.map((one) => [one, one]),
        view.kind,
        (one) => {
          view.kind = one;
          redraw();
        },
        { id: "adapter-kind" },
      ),
    ),
    h(
      "div",
      { class: "charts" },
      h(
        "figure",
        { class: "chart" },
        h("figcaption", {}, `${view.kind}: share of ‖τ‖² by direction`),
        canvas,
        note(
          `Rows are the ${counted(modules.length, "layer")} from the first, columns the directions from the largest; `,
          "brighter is more.",
        ),
      ),
      chart({ title: "Directions in effect", x: "layer", y: "participation ratio", series }),
    ),
  );
}
