// The fields of a page: what they are changed to goes into the address.
function pageForm(fields) {
  const form = h("form", { class: "controls", role: "search", "aria-label": "What is shown" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const active = document.activeElement;
    if (form.contains(active) && active.name) change(active);
  });
  for (const one of fields) {
    const control = controlOf(one);
    form.append(field(one.label || one.name, control));
    if (one.kind === "adapter") control.after(suggestions(control));
  }
  return form;
}

const change = (control) => ask({ [control.name]: control.value.trim() });

function controlOf(one) {
  const attributes = { id: `field-${one.name}`, name: one.name, "aria-label": one.label ? null : one.name };
  if (one.kind === "choice") {
    const control = h(
      "select",
      { ...attributes, onchange: () => change(control) },
      one.options.map(([value, words]) => h("option", { value, selected: value === String(one.value) }, words)),
    );
    return control;
  }
  const control = h("input", {
    ...attributes,
    type: one.kind === "adapter" ? "text" : "search",
    inputmode: one.kind === "number" ? "decimal" : null,
    class: one.kind,
    autocomplete: "off",
    value: String(one.value),
    onchange: () => change(control),
  });
  return control;
}

// Names that contain what is typed
function suggestions(control) {
  const list = h("datalist", { id: `${control.id}-names` });
  control.setAttribute("list", list.id);
  const look = later(async () => {
    const found = await fetch(`/names?find=${encodeURIComponent(control.value)}`);
    if (found.ok) list.replaceChildren(...(await found.json()).map((name) => h("option", { value: name })));
  }, 150);
  control.addEventListener("input", look);
  control.addEventListener("focus", look);
  return list;
}

function pager({ page, last, total }) {
  const link = (to, words) =>
    to < 1 || to > last ? null : h("a", { href: addressWith({ page: to }), rel: to < page ? "prev" : "next" }, words);
  return h(
    "nav",
    { class: "pager", "aria-label": "Rows" },
    link(page - 1, "← before"),
    h("span", {}, `page ${page.toLocaleString("en")} of ${last.toLocaleString("en")}, ${total.toLocaleString("en")} in all`),
    link(page + 1, "further →"),
  );
}
