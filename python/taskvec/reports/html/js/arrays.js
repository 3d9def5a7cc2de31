// The document, and the arrays beside it: unpacked once, decoded when they are asked for.
const DOC = JSON.parse(document.getElementById("document").textContent);
const TYPES = { f32: Float32Array, i32: Int32Array, root16: Int16Array, root8: Int8Array };
const decoded = new Map();
let buffer = null;

async function unpack() {
  const element = document.getElementById("arrays");
  const text = atob(element.textContent.trim());
  element.textContent = "";
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  buffer = await new Response(stream).arrayBuffer();
}

const has = (name) => name in DOC.arrays;

// {data, shape}; NaN for what is missing
function array(name) {
  if (!decoded.has(name)) decoded.set(name, decode(DOC.arrays[name]));
  return decoded.get(name);
}

function decode({ encoding, shape, offset, scale }) {
  const size = shape.reduce((a, b) => a * b, 1);
  const raw = new TYPES[encoding](buffer, offset, size);
  if (!encoding.startsWith("root")) return { data: raw, shape };
  const limit = encoding === "root16" ? 32767 : 127;
  const data = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const u = raw[i] / limit;
    data[i] = raw[i] < -limit ? NaN : scale * u * Math.abs(u);
  }
  return { data, shape };
}
