// Elements from plain values: text is always text, whatever is in it.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected" || name === "disabled")
      element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

let ids = 0;
const newId = (word) => `${word}-${++ids}`;

function field(label, control) {
  if (!control.id) control.id = newId("control");
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

// A choice of few: [value, label] pairs
function choice(label, options, value, changed, attributes) {
  const control = h(
    "select",
    { ...attributes, onchange: () => changed(control.value) },
    options.map(([key, words]) => h("option", { value: key, selected: String(key) === String(value) }, words)),
  );
  return field(label, control);
}

// A slider whose number is shown beside it
function slider(label, { min, max, step, value, words, id }, changed) {
  const shown = h("output", {}, words(value));
  const control = h("input", {
    type: "range",
    min,
    max,
    step,
    id: id || newId("slider"),
    value: String(value),
    "aria-valuetext": words(value),
    oninput: () => {
      const now = Number(control.value);
      shown.textContent = words(now);
      control.setAttribute("aria-valuetext", words(now));
      changed(now);
    },
  });
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, shown);
}

// Of a share, with more room for small ones: the slider goes by its root
const shareSlider = (label, value, id, changed) =>
  slider(
    label,
    { min: 0, max: 1, step: 0.01, value: Math.sqrt(value), words: (root) => percent(root * root), id },
    (root) => changed(root * root),
  );

// Of a q: the slider goes by its logarithm
const qSlider = (label, id, changed) =>
  slider(label, { min: -6, max: 0, step: 0.25, value: 0, words: (x) => short(10 ** x), id }, (one) =>
    changed(10 ** one),
  );

function checkbox(label, checked, changed, id) {
  const control = h("input", { type: "checkbox", checked, id, onchange: () => changed(control.checked) });
  return h("div", { class: "field check" }, control, h("label", { for: id }, label));
}

const button = (label, pressed, attributes) => h("button", { type: "button", ...attributes, onclick: pressed }, label);
const note = (...text) => h("p", { class: "note" }, ...text);

function say(text) {
  document.getElementById("live").textContent = text;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${what} copied`);
}

// Calls back once the window has been quiet
function later(callback, milliseconds = 120) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(callback, milliseconds);
  };
}
