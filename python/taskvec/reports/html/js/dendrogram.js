// The tree beside the heat map, as one path. Leaves that are drawn as one (a cluster) are one leaf.
function dendrogramPath(units, length, depth, sideways) {
  if (!has("tree.merges")) return "";
  const { data: merges } = array("tree.merges");
  const { data: heights } = array("tree.heights");
  const { data: order } = array("tree.order");
  const N = order.length;
  const unitOf = new Int32Array(N).fill(-1);
  units.forEach(([from, to], u) => {
    for (let leaf = from; leaf < to; leaf++) unitOf[order[leaf]] = u;
  });
  const step = length / units.length;
  // the axis starts a little below the first merge
  const top = heights[N - 2] || 1;
  const low = Math.max(0, heights[0] - 0.15 * (top - heights[0]));
  const place = new Float64Array(2 * N - 1).fill(NaN); // along the leaves; NaN: outside the view
  const level = new Float64Array(2 * N - 1);
  const unit = new Int32Array(2 * N - 1).fill(-1); // nodes within one unit are its leaf
  for (let i = 0; i < N; i++) {
    unit[i] = unitOf[i];
    if (unitOf[i] >= 0) place[i] = (unitOf[i] + 0.5) * step;
  }
  const at = (along, height) => {
    const across = depth * (1 - Math.max(0, (height - low) / (top - low || 1)));
    return sideways ? `${across.toFixed(1)},${along.toFixed(1)}` : `${along.toFixed(1)},${across.toFixed(1)}`;
  };
  const parts = [];
  for (let m = 0; m < N - 1; m++) {
    const [a, b] = [merges[2 * m], merges[2 * m + 1]];
    const node = N + m;
    if (Number.isNaN(place[a]) || Number.isNaN(place[b])) {
      const one = Number.isNaN(place[a]) ? b : a; // the other half is outside
      [place[node], level[node], unit[node]] = [place[one], level[one], unit[one]];
    } else if (unit[a] >= 0 && unit[a] === unit[b]) {
      [place[node], level[node], unit[node]] = [place[a], 0, unit[a]];
    } else {
      const height = heights[m];
      parts.push(
        `M${at(place[a], level[a])}L${at(place[a], height)}L${at(place[b], height)}L${at(place[b], level[b])}`,
      );
      [place[node], level[node]] = [(place[a] + place[b]) / 2, height];
    }
  }
  return parts.join("");
}
