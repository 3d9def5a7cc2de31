// What a paper needs: words, versions, commands, hashes, citation.
function methodsSection(root) {
  const { paragraphs, versions, hashes, bibtex, commands } = DOC.methods;
  const block = (title, text, name) =>
    h(
      "div",
      {},
      h("h3", {}, title),
      h(
        "div",
        { class: "buttons" },
        button("Copy", () => copy(text, title), { id: `copy-${name}`, "aria-label": `Copy ${title}` }),
      ),
      h("pre", { tabindex: "0", role: "region", "aria-label": title }, text),
    );
  root.append(
    h(
      "div",
      { class: "prose" },
      paragraphs.map((text) => h("p", {}, text)),
    ),
    h(
      "div",
      { class: "buttons" },
      button("Copy the paragraph", () => copy(paragraphs.join("\n\n"), "Paragraph"), { id: "copy-paragraph" }),
    ),
    block("Commands", commands.join("\n"), "commands"),
    block("BibTeX", bibtex, "bibtex"),
    table({
      title: "Versions",
      columns: [
        { key: "name", title: "package" },
        { key: "version", title: "version" },
      ],
      rows: versions.map(([name, version]) => ({ name, version })),
    }),
    table({
      title: "Hashes of the adapters (SHA-256)",
      grow: 20,
      columns: [
        { key: "name", title: "adapter" },
        { key: "hash", title: "hash" },
      ],
      rows: hashes.map((hash, i) => ({ name: nameOf(i), hash })),
    }),
  );
}
