// Adapters as points; arrow keys go from point to point.
function mapSection(root) {
  const columns = Object.keys(DOC.labels);
  const view = { label: firstLabel(), names: DOC.adapters.length <= 40, ...DOC.chosen };
  const figure = h("div", { class: "figure" });
  const controls = h("div", { class: "controls" });
  if (columns.length) {
    controls.append(
      choice(
        "Colour",
        [...columns.map((one) => [one, one]), ["", "none"]],
        view.label,
        (one) => {
          view.label = one;
          remember({ label: one || "none" });
          draw();
        },
        { id: "map-label" },
      ),
    );
  }
  controls.append(
    checkbox(
      "Names",
      view.names,
      (one) => {
        view.names = one;
        remember({ names: one ? "yes" : "no" });
        draw();
      },
      "map-names",
    ),
  );
  function draw() {
    figure.replaceChildren(...scatter(view));
  }
  const axes = DOC.map.explained
    ? ` The axes have ${percent(DOC.map.explained[0])} and ${percent(DOC.map.explained[1])} of the variance.`
    : "";
  root.append(controls, figure, note(`${DOC.map.method}: near points are updates of one direction.${axes}`));
  draw();
}

function scatter(view) {
  const [width, height, edge] = [760, 520, 24];
  const { data } = array("map.points");
  const N = DOC.adapters.length;
  const [xs, ys] = [0, 1].map((axis) => Array.from({ length: N }, (_, i) => data[2 * i + axis]));
  const [wide, tall] = [d3.extent(xs), d3.extent(ys)];
  // one scale for both axes: distances mean something
  const unit = Math.min((width - 2 * edge) / (wide[1] - wide[0] || 1), (height - 2 * edge) / (tall[1] - tall[0] || 1));
  const x = (i) => width / 2 + (xs[i] - (wide[0] + wide[1]) / 2) * unit;
  const y = (i) => height / 2 - (ys[i] - (tall[0] + tall[1]) / 2) * unit;
  const labels = view.label ? DOC.labels[view.label] : null;
  const kinds = labels ? [...new Set(labels)].sort((a, b) => a.localeCompare(b, "en", { numeric: true })) : [];
  const kindOf = (i) => (labels ? kinds.indexOf(labels[i]) : 0);
  const size = N > 400 ? 22 : 60;
  const words = (i) => nameOf(i) + (labels && labels[i] ? `, ${view.label} ${labels[i]}` : "");
  const points = d3.range(N).map((i) =>
    s(
      "path",
      {
        d: d3.symbol(labelShape(kindOf(i)), size)(),
        transform: `translate(${x(i).toFixed(1)},${y(i).toFixed(1)})`,
        fill: labelColour(kindOf(i)),
        class: "point",
        tabindex: i === 0 ? "0" : "-1",
        role: "button",
        "aria-label": words(i),
        onclick: () => openAdapter(i),
        onkeydown: (event) => move(event, i),
      },
      s("title", {}, words(i)),
    ),
  );
  function move(event, i) {
    if (event.key === "Enter") openAdapter(i);
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    // the nearest of those that lie more that way than to the side
    const ahead = d3.range(N).filter((k) => {
      const [dx, dy] = [x(k) - x(i), y(k) - y(i)];
      const along = dx * way[0] + dy * way[1];
      return k !== i && along > 0 && along >= Math.abs(dx * way[1] + dy * way[0]);
    });
    const next = d3.least(ahead, (k) => Math.hypot(x(k) - x(i), y(k) - y(i)));
    if (next === undefined) return;
    points[i].setAttribute("tabindex", "-1");
    points[next].setAttribute("tabindex", "0");
    points[next].focus();
  }
  const at = d3.range(N).map((i) => ({ x: x(i), y: y(i), text: clip(nameOf(i), 20) }));
  const names = view.names
    ? s(
        "g",
        { class: "point-names", "aria-hidden": "true" },
        placed(at, width, height).map((one) => s("text", one.at, one.text)),
      )
    : null;
  const key = h(
    "div",
    { class: "key" },
    kinds
      .slice(0, 40)
      .map((kind, k) =>
        h(
          "span",
          {},
          s(
            "svg",
            { viewBox: "-8 -8 16 16", width: 14, height: 14, "aria-hidden": "true" },
            s("path", { d: d3.symbol(labelShape(k), 60)(), fill: labelColour(k) }),
          ),
          kind || "no label",
        ),
      ),
    kinds.length > 40 ? h("span", {}, `and ${kinds.length - 40} more`) : null,
  );
  return [
    s(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        class: "map",
        role: "group",
        "aria-label": "Map of adapters: arrow keys move, Enter opens",
      },
      points,
      names,
    ),
    key,
  ];
}

// Names beside their points where there is room: right, left, above or below; those that would cover names or points
// stay out
function placed(points, width, height) {
  const taken = points.map(({ x, y }) => ({ x: x - 5, y: y - 5, w: 10, h: 10 }));
  const free = (box) =>
    box.x > 0 &&
    box.x + box.w < width &&
    box.y > 0 &&
    box.y + box.h < height &&
    taken.every(
      (one) => box.x + box.w < one.x || one.x + one.w < box.x || box.y + box.h < one.y || one.y + one.h < box.y,
    );
  const found = [];
  for (const point of points) {
    const w = 6.9 * point.text.length;
    const boxes = [
      [8, -6],
      [-8 - w, -6],
      [-w / 2, -20],
      [-w / 2, 8],
    ].map(([dx, dy]) => ({ x: point.x + dx, y: point.y + dy, w, h: 12 }));
    const box = boxes.find(free);
    if (!box) continue;
    taken.push(box);
    found.push({ text: point.text, at: { x: box.x, y: box.y + 10 } });
  }
  return found;
}
