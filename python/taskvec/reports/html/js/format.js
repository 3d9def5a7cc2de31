// Numbers and names for people.
const NONE = "–";
const known = (x) => x !== null && x !== undefined && Number.isFinite(x);

function percent(x) {
  if (!known(x)) return NONE;
  const value = 100 * x;
  return `${Math.abs(value) >= 9.95 ? value.toFixed(0) : Number(value.toPrecision(2))} %`;
}

const fixed = (digits) => (x) => (known(x) ? x.toFixed(digits) : NONE);
const signed = (digits) => (x) => (known(x) ? (x >= 0 ? "+" : "−") + Math.abs(x).toFixed(digits) : NONE);

function short(x) {
  if (!known(x)) return NONE;
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size >= 1e-3 && size < 1e5 ? String(Number(x.toPrecision(3))) : x.toExponential(1);
}

const FORMATS = {
  percent,
  short,
  f3: fixed(3),
  f4: fixed(4),
  s3: signed(3),
  whole: (x) => (known(x) ? String(x) : NONE),
  text: (x) => (x === null || x === undefined ? "" : String(x)),
};

// A name in the middle of which an ellipsis stands when it has more than `most` characters
function clip(name, most) {
  if (name.length <= most) return name;
  const head = Math.ceil((most - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (most - 1 - head))}`;
}

const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const nameOf = (i) => DOC.adapters[i];
