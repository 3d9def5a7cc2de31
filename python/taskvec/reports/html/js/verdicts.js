// Verdicts: warnings first, then a sentence a pair.
const FIRST_VERDICTS = 60;

function verdictsSection(root) {
  const cautions = DOC.cautions;
  if (cautions.length) {
    root.append(
      h("h3", {}, "Before the numbers are read"),
      h(
        "ul",
        { class: "cautions" },
        cautions
          .slice(0, 200)
          .map(({ adapter, text }) =>
            h(
              "li",
              {},
              adapter === null
                ? text
                : [button(nameOf(adapter), () => openAdapter(adapter), { class: "link" }), `: ${text}`],
            ),
          ),
      ),
    );
    if (cautions.length > 200) root.append(note(`and ${counted(cautions.length - 200, "more warning")}.`));
  }
  // both directions follow each other: the first speaks for the two
  const all = DOC.pairs.filter((_, row) => row % 2 === 0);
  const view = { words: "", kind: "", shown: FIRST_VERDICTS };
  const list = h("ol", { class: "verdicts" });
  const count = h("p", { class: "note", role: "status" });
  const more = button(
    "",
    () => {
      view.shown = all.length;
      draw();
    },
    { class: "more" },
  );
  const kinds = [...new Set(all.map((pair) => pair.verdict).filter(Boolean))].sort();
  function draw() {
    const words = view.words.toLowerCase();
    const some = all.filter(
      (pair) =>
        (!words || pair.sentence.toLowerCase().includes(words)) &&
        (!view.kind || (view.kind === "warnings" ? pair.warnings.length : pair.verdict === view.kind)),
    );
    some.sort((a, b) => (b.warnings.length > 0) - (a.warnings.length > 0));
    list.replaceChildren(...some.slice(0, view.shown).map(verdictItem));
    count.textContent = `${counted(some.length, "pair")} of ${all.length.toLocaleString("en")}`;
    more.textContent = `Show all ${some.length.toLocaleString("en")}`;
    more.hidden = some.length <= view.shown;
  }
  const words = h("input", {
    type: "search",
    id: "verdict-words",
    oninput: () => {
      view.words = words.value;
      draw();
    },
  });
  const options = [["", "every verdict"], ["warnings", "with a warning"], ...kinds.map((kind) => [kind, kind])];
  root.append(
    h(
      "div",
      { class: "controls" },
      field("Names and words", words),
      choice(
        "Verdict",
        options,
        "",
        (kind) => {
          view.kind = kind;
          draw();
        },
        { id: "verdict-kind" },
      ),
    ),
    count,
    list,
    more,
  );
  const N = DOC.adapters.length;
  const pairs = (N * (N - 1)) / 2;
  if (all.length < pairs) {
    root.append(
      note(
        `These are the ${counted(all.length, "pair")} of ${pairs.toLocaleString("en")} that hold most of each other.`,
      ),
    );
  }
  draw();
}

function verdictItem(pair) {
  return h(
    "li",
    { class: pair.warnings.length ? "warned" : null },
    button(`${nameOf(pair.source)} → ${nameOf(pair.target)}`, () => openPair(pair.source, pair.target), {
      class: "link",
    }),
    h("span", {}, `: ${pair.sentence}`),
    pair.warnings.map((text) => h("span", { class: "warning" }, h("strong", {}, "Caution: "), text)),
  );
}
