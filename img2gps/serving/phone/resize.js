// Pillow's resampling on pixels: the browser's own is its choice, and a model sees the difference.
// The arithmetic is that of Pillow's C code for 8 bits: weights of 22 bits, rows first rounded to bytes, then columns.

const PRECISION = 22;
const FILTERS = {
  bilinear: { support: 1, weight: (x) => (Math.abs(x) < 1 ? 1 - Math.abs(x) : 0) },
  lanczos: { support: 3, weight: (x) => (x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Return of each output pixel its first input and the weights of the inputs from there, as whole numbers. */
function weightsOf(inputs, outputs, filter) {
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: outputs }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(last - first);
    let sum = 0;
    for (let k = 0; k < weights.length; k++) sum += weights[k] = filter.weight((k + first - centre + 0.5) / stretch);
    for (let k = 0; k < weights.length; k++) {
      const whole = (weights[k] / sum) * (1 << PRECISION);
      weights[k] = Math.trunc(whole + (whole < 0 ? -0.5 : 0.5));
    }
    return { first, weights };
  });
}

/** Resample rows of RGB pixels {width, height, data} to another width. */
function rowsTo(image, width, filter) {
  const { height, data } = image;
  const made = new Uint8ClampedArray(width * height * 3);
  const all = weightsOf(image.width, width, filter);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = all[x];
      let at = (y * image.width + first) * 3;
      let [red, green, blue] = [HALF, HALF, HALF];
      for (let k = 0; k < weights.length; k++, at += 3) {
        red += data[at] * weights[k];
        green += data[at + 1] * weights[k];
        blue += data[at + 2] * weights[k];
      }
      const to = (y * width + x) * 3;
      made[to] = Math.floor(red / ONE);
      made[to + 1] = Math.floor(green / ONE);
      made[to + 2] = Math.floor(blue / ONE);
    }
  }
  return { width, height, data: made };
}

const ONE = 1 << PRECISION;
const HALF = ONE / 2;

/** Resample columns to another height. */
function columnsTo(image, height, filter) {
  const { width, data } = image;
  const stride = width * 3;
  const made = new Uint8ClampedArray(stride * height);
  weightsOf(image.height, height, filter).forEach(({ first, weights }, y) => {
    for (let x = 0; x < stride; x++) {
      let sum = HALF;
      for (let k = 0; k < weights.length; k++) sum += data[(first + k) * stride + x] * weights[k];
      made[y * stride + x] = Math.floor(sum / ONE);
    }
  });
  return { width, height, data: made };
}

/** Return RGB pixels of another size, as `Image.resize` of Pillow makes them. */
export function resized(image, width, height, kind) {
  const filter = FILTERS[kind];
  const rows = image.width === width ? image : rowsTo(image, width, filter);
  return rows.height === height ? rows : columnsTo(rows, height, filter);
}

/** Return RGB pixels averaged over squares of `factor` pixels: close to how a JPEG is decoded at a fraction. */
export function reduced(image, factor) {
  if (factor === 1) return image;
  const [width, height] = [Math.ceil(image.width / factor), Math.ceil(image.height / factor)];
  const made = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [y * factor, Math.min((y + 1) * factor, image.height)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [x * factor, Math.min((x + 1) * factor, image.width)];
      const count = (bottom - top) * (right - left);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let row = top; row < bottom; row++) {
          for (let column = left; column < right; column++) sum += image.data[(row * image.width + column) * 3 + channel];
        }
        made[(y * width + x) * 3 + channel] = sum / count + 1e-9; // a clamped array rounds by itself
      }
    }
  }
  return { width, height, data: made };
}

const SHORT_SIDE_PX = 512;

/** Return an upright photo with its short side at most 512 px, as ingest and predict make their working copies. */
export function workingCopy(image, isJpeg) {
  const short = Math.min(image.width, image.height);
  if (short <= SHORT_SIDE_PX) return image;
  const size = (side) => Math.max(1, roundedToEven((side * SHORT_SIDE_PX) / short));
  const [width, height] = [size(image.width), size(image.height)];
  const scale = short / SHORT_SIDE_PX;
  const factor = isJpeg ? [8, 4, 2, 1].find((one) => Math.floor(scale) >= one) : Math.max(1, Math.floor(scale / 2));
  return resized(reduced(image, factor), width, height, "lanczos");
}

/** Return planes (3, height, width) of a model's input: stretched to its size, or the rest filled with grey. */
export function fitted(image, { height, width, fit, padding }) {
  let [inner, left, top] = [{ width, height }, 0, 0];
  if (fit === "pad") {
    const scale = Math.min(width / image.width, height / image.height);
    inner = { width: Math.max(1, roundedToEven(image.width * scale)), height: Math.max(1, roundedToEven(image.height * scale)) };
    [left, top] = [Math.floor((width - inner.width) / 2), Math.floor((height - inner.height) / 2)];
  }
  const small = resized(image, inner.width, inner.height, "bilinear");
  const planes = new Uint8Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    planes.fill(padding[channel], channel * height * width, (channel + 1) * height * width);
    for (let y = 0; y < inner.height; y++) {
      for (let x = 0; x < inner.width; x++) {
        planes[(channel * height + top + y) * width + left + x] = small.data[(y * inner.width + x) * 3 + channel];
      }
    }
  }
  return planes;
}

/** Round as Python does: halves go to the even neighbour. */
function roundedToEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
