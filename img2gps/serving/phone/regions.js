// From a distribution over the cells of a site to an answer: what img2gps/runtime does, in JavaScript.

const STEPS = 60;
const NEAR_M = 0.5;
const LEVELS = [0.5, 0.9];

const distance = (point, centre) => Math.hypot(point[0] - centre[0], point[1] - centre[1]);

function weightedMean(weights, centres) {
  let [east, north, sum] = [0, 0, 0];
  centres.forEach((centre, i) => {
    east += weights[i] * centre[0];
    north += weights[i] * centre[1];
    sum += weights[i];
  });
  return [east / sum, north / sum];
}

/** Return the point that stands for probabilities: the mean, the geometric median or the mode under a kernel. */
export function answerPoint(probs, centres, kind, bandwidth) {
  if (kind === "mode") {
    let point = centres[probs.indexOf(Math.max(...probs))];
    for (let step = 0; step < Math.trunc(STEPS / 3); step++) {
      const closeness = centres.map((centre) => -(distance(point, centre) ** 2) / (2 * bandwidth ** 2));
      const most = Math.max(...closeness);
      point = weightedMean(probs.map((prob, i) => prob * Math.exp(closeness[i] - most)), centres);
    }
    return point;
  }
  let point = [0, 1].map((axis) => probs.reduce((sum, prob, i) => sum + prob * centres[i][axis], 0));
  if (kind === "mean") return point;
  for (let step = 0; step < STEPS; step++) {
    point = weightedMean(probs.map((prob, i) => prob / Math.max(distance(point, centres[i]), NEAR_M)), centres);
  }
  return point;
}

/** Return the radii of the discs around a point that hold 50 % and 90 % of the probabilities, stretched. */
export function regionRadii(logProbs, centres, point, cell, stretch) {
  const most = Math.max(...logProbs);
  const sorted = logProbs
    .map((value, i) => [distance(point, centres[i]), Math.exp(stretch.temper * (value - most))])
    .sort((a, b) => a[0] - b[0]);
  const total = sorted.reduce((sum, [, prob]) => sum + prob, 0);
  const radii = LEVELS.map((level) => {
    let held = 0;
    const found = sorted.find(([, prob]) => (held += prob) >= level * total) ?? sorted.at(-1);
    return Math.max(found[0], cell / Math.sqrt(Math.PI));
  });
  const stretched = [radii[0] * stretch.inflation_50, radii[1] * stretch.inflation_90];
  return [stretched[0], Math.max(...stretched)];
}

/** Return the share of held-out photos of the site that look as little like it, or less; null where none is known. */
export function familiarityOf(heldOut, similarity) {
  if (!heldOut.length) return null;
  return (1 + heldOut.filter((one) => one <= similarity).length) / (1 + heldOut.length);
}

const AXIS_M = 6378137;
const FLATTENING = 1 / 298.257223563;

/** Return [lon, lat] of a point in metres around an origin: the end of its geodesic (Vincenty, Survey Review 23, 1975). */
export function lonLatOf(frame, [east, north]) {
  const polar = AXIS_M * (1 - FLATTENING);
  const [length, azimuth] = [Math.hypot(east, north), Math.atan2(east, north)];
  const reduced = Math.atan((1 - FLATTENING) * Math.tan((frame.origin_lat * Math.PI) / 180));
  const [sinU, cosU, sinA, cosA] = [Math.sin(reduced), Math.cos(reduced), Math.sin(azimuth), Math.cos(azimuth)];
  const start = Math.atan2(Math.tan(reduced), cosA);
  const sinAlpha = cosU * sinA;
  const cos2Alpha = 1 - sinAlpha ** 2;
  const u2 = (cos2Alpha * (AXIS_M ** 2 - polar ** 2)) / polar ** 2;
  const a = 1 + (u2 / 16384) * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)));
  const b = (u2 / 1024) * (256 + u2 * (-128 + u2 * (74 - 47 * u2)));
  let arc = length / (polar * a);
  for (let step = 0; step < 12; step++) {
    const middle = Math.cos(2 * start + arc);
    const bracket = Math.cos(arc) * (2 * middle ** 2 - 1) - (b / 6) * middle * (4 * Math.sin(arc) ** 2 - 3) * (4 * middle ** 2 - 3);
    arc = length / (polar * a) + b * Math.sin(arc) * (middle + (b / 4) * bracket);
  }
  const [middle, sinArc, cosArc] = [Math.cos(2 * start + arc), Math.sin(arc), Math.cos(arc)];
  const across = Math.hypot(sinAlpha, sinU * sinArc - cosU * cosArc * cosA);
  const lat = Math.atan2(sinU * cosArc + cosU * sinArc * cosA, (1 - FLATTENING) * across);
  const turned = Math.atan2(sinArc * sinA, cosU * cosArc - sinU * sinArc * cosA);
  const c = (FLATTENING / 16) * cos2Alpha * (4 + FLATTENING * (4 - 3 * cos2Alpha));
  const bent = middle + c * cosArc * (2 * middle ** 2 - 1);
  const lon = turned - (1 - c) * FLATTENING * sinAlpha * (arc + c * sinArc * bent);
  const degrees = frame.origin_lon + (lon * 180) / Math.PI;
  return [((((degrees + 180) % 360) + 360) % 360) - 180, (lat * 180) / Math.PI];
}
