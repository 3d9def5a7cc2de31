// The matrix of the adapters and modules that the address asks for.
function matrixPage(root) {
  const { by, metric, linkage, distance } = DOC.matrix;
  const units = (name) => {
    const { data } = array(name);
    return Array.from({ length: data.length - 1 }, (_, u) => [data[u], data[u + 1]]);
  };
  const [rowUnits, columnUnits] = [units("cells.rows"), units("cells.columns")];
  const values = array("cells.values").data;
  const { title, both, show, words } = METRICS[metric];
  const below = has("cells.below") ? array("cells.below").data : new Uint8Array(values.length);
  const plane = {
    rows: rowUnits.length,
    columns: columnUnits.length,
    rowUnits,
    columnUnits,
    values,
    below,
    both,
    show,
    title,
    most: mostShown(values),
  };
  const single = [...rowUnits, ...columnUnits].every(([from, to]) => to - from === 1);
  function describe(row, column) {
    const cell = row * plane.columns + column;
    const ends = [rowUnits[row], columnUnits[column]].map((unit) => unitName(unit, 60));
    return `${ends.join(" → ")}: ${title} ${show(values[cell])}${below[cell] ? ", below the threshold" : ""}`;
  }
  function press(row, column) {
    const [one, two] = [rowUnits[row], columnUnits[column]];
    const order = orderOf();
    if (one[1] - one[0] === 1 && two[1] - two[0] === 1) openPair(order[one[0]], order[two[0]]);
    else ask({ rows: one.join(":"), columns: two.join(":") });
  }
  const what = single
    ? `${plane.rows} × ${plane.columns} adapters`
    : `${plane.rows} × ${plane.columns} ${by === "clusters" ? "clusters" : "tiles"}: means over their pairs. Enter or a click opens one`;
  const figure = h("div", { class: "figure" });
  root.append(
    h("p", { class: "note", role: "status" }, `${title}: ${words}; ${DOC.what}; ${what}.`),
    DOC.whole ? "" : h("p", {}, h("a", { href: addressWith({ rows: "", columns: "" }) }, "Back to all adapters")),
    figure,
    note(
      "Rows are sources, columns targets. ",
      by === "clusters" ? `Trees: ${linkage} linkage of ${distance}. ` : `Adapters are in the order of: ${by}. `,
      "Colours go with the root of the value, up to all but the largest half per cent of the cells.",
    ),
  );
  heatmap(figure, { describe, press })(plane);
}
