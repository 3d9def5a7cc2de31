// The paper's tables.
function tablesSection(root) {
  DOC.tables.forEach((one) => root.append(sheet(one)));
  DOC.no_tables.forEach((text) => root.append(note(text)));
}

const sheet = ({ title, columns, rows, notes }, open) => table({ title, columns, rows, notes, open });
