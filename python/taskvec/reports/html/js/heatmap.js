// The heat map with its trees, names, legend, and a cell that arrow keys move.
// plane: see matrix.js. press(row, column): Enter or a click on a cell.
const TREE = 56;
const SMALLEST_NAME = 9; // pixels of a row that can have its name
const SMALLEST_RUN = 14; // and of neighbours of one label

function heatmap(root, { describe, press }) {
  const canvas = h("canvas", { role: "img", "aria-label": "heat map" });
  const cursor = h("div", { class: "cursor", hidden: true });
  const tip = h("div", { class: "tip", hidden: true });
  const trees = [s("svg", { "aria-hidden": "true" }), s("svg", { "aria-hidden": "true" })];
  const names = [
    h("div", { class: "names rows", "aria-hidden": "true" }),
    h("div", { class: "names columns", "aria-hidden": "true" }),
  ];
  const grid = h(
    "div",
    {
      class: "cells",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "matrix",
      "aria-label": "Matrix: arrow keys move, Enter opens the pair",
    },
    canvas,
    cursor,
  );
  const legend = h("div", { class: "legend" });
  const frame = h(
    "div",
    { class: "heatmap" },
    h("div", { class: "corner" }),
    h("div", { class: "tree top" }, trees[0]),
    h("div"),
    h("div", { class: "tree left" }, trees[1]),
    grid,
    names[0],
    h("div"),
    names[1],
    h("div"),
  );
  root.append(frame, tip, legend);
  let plane = null;
  let at = [0, 0];
  let size = [0, 0];

  function draw() {
    if (!plane) return;
    const wide = Math.max(220, Math.min(root.clientWidth - TREE - namesWidth() - 16, 760));
    size =
      plane.rows === plane.columns
        ? [wide, wide]
        : [wide, Math.max(60, Math.min(760, (wide * plane.rows) / plane.columns))];
    paintCells(canvas, plane, ...size);
    [trees[0], trees[1]].forEach((svg, side) => {
      const length = size[side];
      const [w, tall] = side ? [TREE, length] : [length, TREE];
      fill(svg, { viewBox: `0 0 ${w} ${tall}`, width: w, height: tall }, []);
      svg.replaceChildren(
        s("path", {
          d: dendrogramPath(side ? plane.rowUnits : plane.columnUnits, length, TREE, side === 1),
          class: "branch",
        }),
      );
    });
    label(names[0], plane.rowUnits, size[1]);
    label(names[1], plane.columnUnits, size[0]);
    drawLegend();
    place();
  }

  const namesWidth = () => (plane.rows * SMALLEST_NAME <= 760 || labelRuns(plane.rowUnits).length ? 150 : 8);

  function label(element, units, length) {
    const step = length / units.length;
    const fits = step >= SMALLEST_NAME;
    const shown = fits
      ? units.map((unit, u) => ({ from: u, to: u + 1, text: unitName(unit, 22), title: unitName(unit, 400) }))
      : labelRuns(units)
          .filter(({ from, to }) => (to - from) * step >= SMALLEST_RUN)
          .map(({ from, to, label: text }) => ({ from, to, text: clip(text, 22), title: text, run: true }));
    element.hidden = !shown.length;
    const longest = Math.max(0, ...shown.map((one) => one.text.length));
    element.style.setProperty("--names", `${Math.min(150, 7 * longest + 10)}px`);
    element.style.setProperty("--length", `${length}px`);
    element.replaceChildren(
      ...shown.map(({ from, to, text, title, run }) => {
        const [middle, long] = [((from + to) / 2) * step, (to - from) * step];
        const size = Math.min(12, long).toFixed(1);
        const style = `--at:${middle.toFixed(1)}px;--size:${size}px;--run:${(long - 2).toFixed(1)}px`;
        return h("span", { title, style, class: run ? "run" : null }, text);
      }),
    );
  }

  function drawLegend() {
    const { most, both, show } = plane;
    const ends = [both ? -most : 0, most].map(show);
    const bar = h("canvas", { role: "img", "aria-label": `colours from ${ends[0]} to ${ends[1]}` });
    const values = Float32Array.from({ length: STEPS }, (_, i) => {
      const root = both ? (2 * i) / (STEPS - 1) - 1 : i / (STEPS - 1);
      return most * root * Math.abs(root);
    });
    paintCells(bar, { rows: 1, columns: STEPS, values, below: new Uint8Array(STEPS), most, both }, 220, 12);
    legend.replaceChildren(
      h("span", {}, `${ends[0]}${both ? " and less" : ""}`),
      bar,
      h("span", {}, `${ends[1]} and more`),
      h("span", { class: "middle" }, both ? "" : `middle: ${show(most / 4)}`),
      h("span", { class: "swatch hatched" }),
      h("span", {}, "below the threshold"),
      h("span", { class: "swatch missing" }),
      h("span", {}, "itself, or no value"),
    );
  }

  function place() {
    const [step, down] = [size[0] / plane.columns, size[1] / plane.rows];
    at = [Math.min(at[0], plane.rows - 1), Math.min(at[1], plane.columns - 1)];
    Object.assign(cursor.style, {
      left: `${at[1] * step}px`,
      top: `${at[0] * down}px`,
      width: `${Math.max(3, step)}px`,
      height: `${Math.max(3, down)}px`,
    });
  }

  function cellAt(event) {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * plane.columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * plane.rows);
    return row >= 0 && column >= 0 && row < plane.rows && column < plane.columns ? [row, column] : null;
  }

  canvas.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    tip.hidden = !cell;
    if (!cell) return;
    tip.textContent = describe(...cell);
    const box = root.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, root.clientWidth - 280);
    Object.assign(tip.style, { left: `${Math.max(0, left)}px`, top: `${event.clientY - box.top + 14}px` });
  });
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (!cell) return;
    at = cell;
    place();
    press(...cell);
  });
  grid.addEventListener("focus", () => {
    cursor.hidden = false;
    say(describe(...at));
  });
  grid.addEventListener("blur", () => {
    cursor.hidden = true;
  });
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  grid.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") press(...at);
    else if (event.key === "Home") at = [at[0], 0];
    else if (event.key === "End") at = [at[0], plane.columns - 1];
    else if (moves[event.key]) {
      const far = event.shiftKey ? 10 : 1;
      at = [
        Math.max(0, Math.min(plane.rows - 1, at[0] + far * moves[event.key][0])),
        Math.max(0, Math.min(plane.columns - 1, at[1] + far * moves[event.key][1])),
      ];
    } else return;
    event.preventDefault();
    place();
    say(describe(...at));
  });
  redraws.add(draw);
  return (next) => {
    plane = next;
    draw();
  };
}
