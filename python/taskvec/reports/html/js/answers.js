// Answers of the base model and of the adapter to the same prompt, side by side.
function answersSection(root) {
  if (!DOC.answers.length) {
    root.append(note("No answers were given: --answers ANSWERS.jsonl, lines of adapter, prompt, base and answer."));
    return;
  }
  const names = [...new Set(DOC.answers.map((one) => one.adapter))].sort();
  const view = { adapter: "", shown: 20 };
  const list = h("div");
  const more = button(
    "",
    () => {
      view.shown = Infinity;
      draw();
    },
    { class: "more" },
  );
  const draw = () => {
    const some = DOC.answers.filter((one) => !view.adapter || one.adapter === view.adapter);
    list.replaceChildren(
      ...some.slice(0, view.shown).map(answerArticle),
    );
    more.textContent = `Show all ${some.length.toLocaleString("en")}`;
    more.hidden = some.length <= view.shown;
  };
  root.append(
    h(
      "div",
      { class: "controls" },
      choice(
        "Adapter",
        [["", "all"], ...names.map((one) => [one, one])],
        "",
        (one) => {
          view.adapter = one;
          draw();
        },
        { id: "answers-adapter" },
      ),
    ),
    list,
    more,
  );
  draw();
}

const answerArticle = (one) =>
  h(
    "article",
    { class: "answer" },
    h("h3", {}, one.adapter),
    h("p", { class: "prompt" }, one.prompt || NONE),
    h(
      "div",
      { class: "sides" },
      [
        ["Base", one.base],
        ["Adapter", one.answer],
      ].map(([title, text]) => h("div", {}, h("h4", {}, title), h("p", {}, text || "(empty)"))),
    ),
  );
