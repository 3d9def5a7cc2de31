// Cells of a matrix on a canvas, pixel by pixel: no element a cell, whatever their number.
// plane: {rows, columns, values and below (rows × columns; below 1: hatched), most, both}; colours go with the root of
// a value, so that small ones differ to the eye.
function paintCells(canvas, plane, width, height, ratio = devicePixelRatio || 1) {
  const [w, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  canvas.width = w;
  canvas.height = tall;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, tall);
  const pixels = new Uint32Array(image.data.buffer);
  const table = new Uint32Array(STEPS + 1);
  const colours = plane.both ? RAMPS.both : RAMPS.up;
  for (let i = 0; i < STEPS; i++) table[i] = word(colours[3 * i], colours[3 * i + 1], colours[3 * i + 2]);
  const missing = d3.rgb(ink("--missing"));
  table[STEPS] = word(missing.r, missing.g, missing.b);
  const paper = d3.rgb(ink("--paper"));
  const hatch = word(paper.r, paper.g, paper.b);
  const columnOf = new Int32Array(w);
  for (let x = 0; x < w; x++) columnOf[x] = Math.min(plane.columns - 1, Math.floor((x * plane.columns) / w));
  const line = Math.max(4, Math.round(5 * ratio));
  for (let y = 0; y < tall; y++) {
    const row = Math.min(plane.rows - 1, Math.floor((y * plane.rows) / tall)) * plane.columns;
    for (let x = 0; x < w; x++) {
      const cell = row + columnOf[x];
      const value = plane.values[cell];
      const step = Number.isNaN(value) ? STEPS : stepOf(value / plane.most, plane.both);
      const hatched = plane.below[cell] && (x + y) % line < line / 2;
      pixels[y * w + x] = hatched ? hatch : table[step];
    }
  }
  context.putImageData(image, 0, 0);
}

const word = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

// of the ramp, for a share of the most that it shows
function stepOf(share, both) {
  const root = Math.sign(share) * Math.sqrt(Math.min(1, Math.abs(share)));
  return Math.round((both ? (root + 1) / 2 : Math.max(0, root)) * (STEPS - 1));
}
