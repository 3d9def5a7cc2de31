// Tables of which the server sorts and cuts the rows.
const sortedBy = () => ({ ...DOC.sorted, by: (key, down) => ask({ order: key, way: down ? "down" : "up" }) });
const partial = () =>
  DOC.every_pair === false ? note("Of this many pairs those that hold most are listed; an adapter's page and the matrix have all.") : "";

function pairsPage(root) {
  const ends = [
    { key: "source", title: "source" },
    { key: "target", title: "target" },
  ];
  root.append(
    table({
      title: "Ordered pairs",
      columns: [...ends, ...DOC.columns],
      rows: DOC.rows.map((row) => ({ ...row, source: nameOf(row.source_at), target: nameOf(row.target_at) })),
      open: (row) => openPair(row.source_at, row.target_at),
      sorted: sortedBy(),
    }),
    pager(DOC.paging),
    partial(),
  );
}

function adaptersPage(root) {
  root.append(
    table({ title: "Adapters", columns: DOC.columns, rows: DOC.rows, open: (row) => openAdapter(row.place), sorted: sortedBy() }),
    pager(DOC.paging),
  );
}

function verdictsPage(root) {
  root.append(
    DOC.pairs.length ? h("ol", { class: "verdicts", start: (DOC.paging.page - 1) * DOC.paging.per + 1 }, DOC.pairs.map(verdictItem)) : note("No pair passes."),
    pager(DOC.paging),
    partial(),
  );
}

function answersPage(root) {
  if (!DOC.recorded) {
    root.append(note("No answers were given: taskvec explore --answers ANSWERS.jsonl, lines of adapter, prompt, base and answer."));
    return;
  }
  root.append(...DOC.answers.map(answerArticle), pager(DOC.paging));
}
