// What is chosen, and who wants to know; the address says it too, so that a view can be sent to someone.
const listeners = { pair: [], adapter: [] };
const chosen = { pair: null, adapter: 0 };

function on(what, callback) {
  listeners[what].push(callback);
}

function choose(what, value, { go = true } = {}) {
  chosen[what] = value;
  if (go) show(what);
  listeners[what].forEach((callback) => callback(value));
  history.replaceState(null, "", `#${what}=${[].concat(value).join(",")}`);
  if (go) goTo(what);
}

// what is chosen within a section is not
const remember = () => {};

const openPair = (i, j) => (i === j ? choose("adapter", i) : choose("pair", [i, j]));
const openAdapter = (i) => choose("adapter", i);

function readAddress() {
  const found = /^#(pair|adapter)=(\d+)(?:,(\d+))?$/.exec(location.hash);
  if (!found) return;
  const numbers = found.slice(2).filter(Boolean).map(Number);
  if (numbers.some((i) => i >= DOC.adapters.length)) return;
  if (found[1] === "pair" && numbers.length === 2) openPair(...numbers);
  if (found[1] === "adapter") openAdapter(numbers[0]);
}
