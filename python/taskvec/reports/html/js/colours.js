// Colour scales that people with any colour vision can read, also in grey: lightness grows or falls throughout.
const STEPS = 256;

function ramp(interpolate) {
  const table = new Uint8Array(3 * STEPS);
  for (let i = 0; i < STEPS; i++) {
    const { r, g, b } = d3.rgb(interpolate(i / (STEPS - 1)));
    table.set([r, g, b], 3 * i);
  }
  return table;
}

const RAMPS = { up: ramp(d3.interpolateCividis), both: ramp((t) => d3.interpolatePuOr(1 - t)) };

// of Okabe and Ito; the last is the page's own ink
const LABEL_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b0a500", "currentColor"];
const LABEL_SHAPES = [
  d3.symbolCircle,
  d3.symbolTriangle,
  d3.symbolSquare,
  d3.symbolDiamond,
  d3.symbolStar,
  d3.symbolCross,
  d3.symbolWye,
];
// more labels than colours: the shape changes with every round of the colours, and with every colour
const labelColour = (k) => LABEL_COLOURS[k % LABEL_COLOURS.length];
const labelShape = (k) => LABEL_SHAPES[(k + Math.floor(k / LABEL_COLOURS.length)) % LABEL_SHAPES.length];

const METRICS = {
  captured: {
    title: "captured",
    both: false,
    words: "share of the target's update in the source's directions",
    show: percent,
  },
  rec: { title: "REC", both: false, words: "overlap of the two normalised spectra", show: fixed(3) },
  above_chance: { title: "REC − chance", both: true, words: "REC less its mean over random signs", show: signed(3) },
  cosine: { title: "cosine", both: true, words: "cosine of the two updates", show: signed(3) },
  asymmetry: {
    title: "asymmetry",
    both: true,
    words: "captured of this direction less that of the other",
    show: signed(3),
  },
};

// The most that the colours show: all but the few largest values are below
function mostShown(values) {
  const step = Math.max(1, Math.floor(values.length / 50000));
  const some = [];
  for (let i = 0; i < values.length; i += step) if (!Number.isNaN(values[i])) some.push(Math.abs(values[i]));
  some.sort((a, b) => a - b);
  return some[Math.floor(0.995 * some.length)] || some[some.length - 1] || 1;
}
