// A table whose columns sort, and which copies as CSV and LaTeX.
// columns: {key, title, format, low, high}; rows: objects. open(row): what a row's button does.
// sorted: {key, down, by(key, down)}, where rows are sorted by somebody else.
const FIRST_ROWS = 200;

function table({ title, columns, rows, open, notes = [], grow = FIRST_ROWS, sorted: given = null }) {
  const order = { key: null, down: true };
  let shown = grow;
  const head = h(
    "tr",
    {},
    columns.map((column, c) => {
      const cell = h("th", { scope: "col", class: isText(column) || c === 0 ? null : "number" });
      cell.append(
        button(
          column.title,
          () => {
            const last = given || order;
            order.down = last.key === column.key ? !last.down : !isText(column);
            if (given) {
              given.by(column.key, order.down);
              return;
            }
            order.key = column.key;
            head.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
            cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
            draw();
          },
          { class: "sort", "aria-label": `sort by ${column.title}` },
        ),
      );
      if (given && given.key === column.key) cell.setAttribute("aria-sort", given.down ? "descending" : "ascending");
      return cell;
    }),
  );
  const body = h("tbody");
  const more = button(
    "",
    () => {
      shown = rows.length;
      draw();
    },
    { class: "more" },
  );
  const sorted = () => (order.key === null ? rows : [...rows].sort(byKey(order.key, order.down)));
  function draw() {
    const all = sorted();
    body.replaceChildren(
      ...all.slice(0, shown).map((row) =>
        h(
          "tr",
          {},
          columns.map((column, c) => {
            const inside = cellOf(column, row);
            if (c === 0)
              return h("th", { scope: "row" }, open ? button(inside, () => open(row), { class: "link" }) : inside);
            return h("td", { class: isText(column) ? null : "number" }, inside);
          }),
        ),
      ),
    );
    more.textContent = `Show all ${rows.length.toLocaleString("en")} rows`;
    more.hidden = rows.length <= shown;
  }
  draw();
  const buttons = h(
    "div",
    { class: "buttons" },
    button("Copy CSV", () => copy(csv(columns, sorted()), "CSV"), {
      class: "copy-csv",
      "aria-label": `Copy CSV: ${title}`,
    }),
    button("Copy LaTeX", () => copy(latex(title, columns, sorted()), "LaTeX"), {
      class: "copy-latex",
      "aria-label": `Copy LaTeX: ${title}`,
    }),
  );
  const id = newId("table");
  return h(
    "figure",
    { class: "table" },
    h("figcaption", { id }, title),
    buttons,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id },
      h("table", { "aria-labelledby": id }, h("thead", {}, head), body),
    ),
    more,
    notes.map((text) => note(text)),
  );
}

const isText = (column) => !column.format || column.format === "text";
const shownValue = (column, row) => FORMATS[column.format || "text"](row[column.key]);
const interval = (column, row) =>
  column.low && known(row[column.low])
    ? `[${FORMATS[column.format](row[column.low])}, ${FORMATS[column.format](row[column.high])}]`
    : "";

function cellOf(column, row) {
  const bounds = interval(column, row);
  return bounds ? [shownValue(column, row), h("small", {}, ` ${bounds}`)] : shownValue(column, row);
}

function byKey(key, down) {
  const way = down ? -1 : 1;
  return (a, b) => {
    const [x, y] = [a[key], b[key]];
    if (typeof x === "string" || typeof y === "string") {
      return way * String(x ?? "").localeCompare(String(y ?? ""), "en", { numeric: true });
    }
    return known(x) && known(y) ? way * (x - y) : known(y) - known(x); // what is not known stands last
  };
}

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function csv(columns, rows) {
  const keys = columns.flatMap((column) => [column.key, column.low, column.high].filter(Boolean));
  const line = (values) =>
    values.map((value) => quoted(value === null || value === undefined ? "" : String(value))).join(",");
  return `${[keys, ...rows.map((row) => keys.map((key) => row[key]))].map(line).join("\n")}\n`;
}

const TEX = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "→": "$\\to$",
  "−": "$-$",
  λ: "$\\lambda$",
  Σ: "$\\Sigma$",
  "₁": "$_1$",
  "₂": "$_2$",
  τ: "$\\tau$",
  "–": "--",
  "≥": "$\\geq$",
  "±": "$\\pm$",
};
const tex = (text) => text.replace(/[\\&%$#_{}~^→−λΣ₁₂τ–≥±]/g, (c) => TEX[c] || `\\${c}`);

function latex(title, columns, rows) {
  const line = (cells) => `${cells.map(tex).join(" & ")} \\\\`;
  const cell = (column, row) => [shownValue(column, row), interval(column, row)].filter(Boolean).join(" ");
  return [
    "\\begin{table}",
    "\\centering",
    `\\caption{${tex(title)}}`,
    `\\begin{tabular}{${columns.map((column) => (isText(column) ? "l" : "r")).join("")}}`,
    "\\hline",
    line(columns.map((column) => column.title)),
    "\\hline",
    ...rows.map((row) => line(columns.map((column) => cell(column, row)))),
    "\\hline",
    "\\end{tabular}",
    "\\end{table}",
    "",
  ].join("\n");
}
