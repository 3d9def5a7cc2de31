// Overview: what the result is, how the shares lie, where to begin.
function overviewPage(root) {
  const whole = DOC.pairs_held === DOC.pairs_all;
  const facts = [
    ["result", DOC.summary],
    ["kept", `--keep ${DOC.keep}`],
    [
      "ordered pairs",
      whole ? DOC.pairs_all.toLocaleString("en") : `${DOC.pairs_held.toLocaleString("en")} of ${DOC.pairs_all.toLocaleString("en")}`,
    ],
    ["pairs with q ≤ 0.05", known(DOC.sigma0) ? DOC.discoveries.toLocaleString("en") : "no q: too few pairs to know chance"],
    ["σ₀", short(DOC.sigma0)],
  ];
  root.append(
    h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    histogram(DOC.histogram),
    table({
      title: "Pairs that hold most",
      rows: DOC.top.map((row) => ({ ...row, pair: `${nameOf(row.source_at)} → ${nameOf(row.target_at)}` })),
      open: (row) => openPair(row.source_at, row.target_at),
      columns: [
        { key: "pair", title: "source → target" },
        { key: "captured", title: "captured", format: "percent" },
        { key: "captured_back", title: "the other way", format: "percent" },
        { key: "rec", title: "REC", format: "f3" },
        { key: "q", title: "q", format: "short" },
      ],
    }),
  );
  if (DOC.caution_counts.length) {
    root.append(
      h("h3", {}, "Before the numbers are read"),
      h("ul", { class: "cautions" }, DOC.caution_counts.map(([text, count]) => h("li", {}, count > 1 ? `${text} (${count} times)` : text))),
    );
  }
}

// Pairs by their share; a bar leads to its pairs
function histogram(bins) {
  const [width, height, bottom] = [560, 170, 34];
  const most = d3.max(bins, ([, count]) => count) || 1;
  const tall = (count) => (count ? Math.max(2, (Math.log1p(count) / Math.log1p(most)) * (height - bottom - 14)) : 0);
  const step = width / bins.length;
  const label = newId("histogram");
  return h(
    "figure",
    { class: "chart wide" },
    h("figcaption", { id: label }, "Ordered pairs by captured"),
    s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-labelledby": label },
      bins.map(([low, count], k) => {
        const words = `${counted(count, "pair")} from ${percent(low)} to ${percent(k + 1 < bins.length ? bins[k + 1][0] : 1)}`;
        return [
          s(
            "a",
            { href: pageAddress("pairs", { captured: low, order: "captured", way: "up" }), "aria-label": words },
            s("title", {}, words),
            s("rect", { x: k * step, y: 0, width: step, height: height - bottom, class: "room" }),
            s("rect", {
              x: k * step + 1,
              y: height - bottom - tall(count),
              width: step - 2,
              height: tall(count),
              class: "bar",
            }),
          ),
          k % 4 === 0 ? s("text", { x: k * step, y: height - 16, class: "tick" }, percent(low)) : null,
        ];
      }),
      s("text", { x: 0, y: height - 2, class: "tick" }, "the axis goes with the root of the share, heights with the logarithm of the count"),
    ),
  );
}
