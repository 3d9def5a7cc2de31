// SQL over the tables of the result: an answer is an address too.
function sqlPage(root) {
  const box = h("textarea", { id: "field-query", name: "query", rows: "6", spellcheck: "false", value: String(DOC.form[0].value) });
  const run = () => go(pageAddress("sql", { query: box.value }));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  const { rows, seconds } = DOC.limits;
  root.append(
    h("div", { class: "sql" }, h("label", { for: box.id }, "One SELECT, in DuckDB's SQL"), box),
    h("div", { class: "buttons" }, button("Run (Ctrl+Enter)", run, { id: "run-sql" })),
    note(`It reads, and nothing else: no files, no network. At most ${rows.toLocaleString("en")} rows and ${seconds} s.`),
    partial(),
  );
  if (DOC.error) root.append(h("p", { class: "warning", role: "alert" }, DOC.error));
  if (DOC.answer) root.append(answerTable(DOC.answer, rows));
  root.append(
    h("h3", {}, "Tables"),
    h(
      "dl",
      { class: "shape" },
      DOC.shape.map(([name, columns]) => [
        h("dt", {}, name),
        h("dd", {}, columns.map(([column, kind]) => `${column} ${kind.toLowerCase()}`).join(", ")),
      ]),
    ),
  );
}

function answerTable({ columns, rows, more, seconds }, most) {
  const isNumber = (c) => rows.some((row) => typeof row[c] === "number") && rows.every((row) => row[c] === null || typeof row[c] === "number");
  const shown = rows.map((row) => Object.fromEntries(row.map((value, c) => [String(c), value])));
  return table({
    title: `${counted(rows.length, "row")}${more ? ` of more than ${most.toLocaleString("en")}` : ""}, ${(1000 * seconds).toFixed(0)} ms`,
    columns: columns.map((title, c) => ({ key: String(c), title, format: isNumber(c) ? "plain" : "text" })),
    rows: shown,
  });
}

FORMATS.plain = (x) => (known(x) ? (Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(6)))) : NONE);
