// Lines and bands over layers, in SVG that follows the page's colours.
// series: [{name, points: [[x, y]], colour, dash, band: [[x, low, high]]}]
function chart({ title, x, y, series, height = 240, width = 460, whole = true, zero = true, show = short }) {
  const margin = { top: 10, right: 12, bottom: 36, left: 54 };
  const points = series
    .flatMap((one) => [
      ...(one.points || []),
      ...(one.band || []).flatMap(([at, low, high]) => [
        [at, low],
        [at, high],
      ]),
    ])
    .filter(([, value]) => known(value));
  if (!points.length) return h("figure", { class: "chart" }, h("figcaption", {}, title), note("No values."));
  const [low, high] = d3.extent(points, (point) => point[1]);
  const across = d3.scaleLinear(padded(d3.extent(points, (point) => point[0])), [margin.left, width - margin.right]);
  const up = d3
    .scaleLinear(
      [zero ? Math.min(0, low) : low, high > low || high > 0 ? high : low + 1],
      [height - margin.bottom, margin.top],
    )
    .nice(5);
  const label = newId("chart");
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": label });
  const xTicks = across.ticks(8).filter((tick) => !whole || Number.isInteger(tick));
  svg.append(
    s(
      "g",
      { class: "axis" },
      up
        .ticks(5)
        .map((tick) => [
          s("line", { x1: margin.left, x2: width - margin.right, y1: up(tick), y2: up(tick), class: "rule" }),
          s("text", { x: margin.left - 6, y: up(tick) + 4, "text-anchor": "end" }, show(tick)),
        ]),
      xTicks.map((tick) =>
        s("text", { x: across(tick), y: height - margin.bottom + 16, "text-anchor": "middle" }, String(tick)),
      ),
      s(
        "text",
        { x: (margin.left + width - margin.right) / 2, y: height - 4, "text-anchor": "middle", class: "title" },
        x,
      ),
      s(
        "text",
        {
          x: 12,
          y: (height - margin.bottom) / 2,
          "text-anchor": "middle",
          class: "title",
          transform: `rotate(-90 12 ${(height - margin.bottom) / 2})`,
        },
        y,
      ),
    ),
  );
  for (const one of series) {
    if (one.band) {
      const area = d3
        .area()
        .defined((d) => known(d[1]) && known(d[2]))
        .x((d) => across(d[0]))
        .y0((d) => up(d[1]))
        .y1((d) => up(d[2]));
      svg.append(s("path", { d: area(one.band), fill: one.colour, class: "band" }));
    }
    if (!one.points) continue;
    const line = d3
      .line()
      .defined((d) => known(d[1]))
      .x((d) => across(d[0]))
      .y((d) => up(d[1]));
    svg.append(s("path", { d: line(one.points), stroke: one.colour, "stroke-dasharray": one.dash, class: "line" }));
    if (!one.dash) {
      svg.append(
        s(
          "g",
          { fill: one.colour },
          one.points
            .filter((point) => known(point[1]))
            .map(([at, value]) =>
              s(
                "circle",
                { cx: across(at), cy: up(value), r: 2.5 },
                s("title", {}, `${one.name}, ${x} ${at}: ${show(value)}`),
              ),
            ),
        ),
      );
    }
  }
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", { id: label }, title),
    svg,
    h("div", { class: "key" }, series.map(keyOf)),
  );
}

const padded = ([low, high]) => (low === high ? [low - 1, high + 1] : [low, high]);

const keyOf = (one) =>
  h(
    "span",
    {},
    s(
      "svg",
      { viewBox: "0 0 24 10", width: 24, height: 10, "aria-hidden": "true" },
      one.band ? s("rect", { width: 24, height: 10, fill: one.colour, class: "band" }) : null,
      one.points
        ? s("line", { x1: 0, x2: 24, y1: 5, y2: 5, stroke: one.colour, "stroke-dasharray": one.dash, class: "line" })
        : null,
    ),
    one.name,
  );
