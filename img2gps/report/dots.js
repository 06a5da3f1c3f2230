// Dots for photos. They are stamped into pixels by hand: 10,000 of them as arcs or pictures take a tenth of a second
// where no graphics processor helps, stamped they take a few milliseconds.

const PAD_PX = 32;
const stamps = new Map();
const layer = { canvas: document.createElement("canvas"), image: null, pixels: null };

/** Return the pixels of one dot as [dx, dy, RGBA as a number, opaque?], its halo included. */
function stamp(shade, radius, ratio) {
  const key = `${shade} ${radius.toFixed(1)} ${ratio} ${colour("map-halo")}`;
  if (!stamps.has(key)) {
    if (stamps.size > 200) stamps.clear();
    const half = Math.ceil((radius + 2) * ratio);
    const side = 2 * half + 1;
    const context = element("canvas", { width: side, height: side }).getContext("2d", { willReadFrequently: true });
    context.arc(half + 0.5, half + 0.5, radius * ratio, 0, 2 * Math.PI);
    context.strokeStyle = colour("map-halo");
    context.fillStyle = shade;
    context.lineWidth = 2.4 * ratio;
    context.stroke();
    context.fill();
    const pixels = new Uint32Array(context.getImageData(0, 0, side, side).data.buffer);
    const made = [];
    pixels.forEach((pixel, i) => {
      const [dx, dy] = [(i % side) - half, Math.floor(i / side) - half];
      if (pixel >>> 24) made.push([dx, dy, pixel, pixel >>> 24 > 250]);
    });
    stamps.set(key, made);
  }
  return stamps.get(key);
}

/** Make the layer as large as the view, with room for dots at its edges, and empty it. */
function clearLayer(view) {
  const [width, height] = [Math.ceil(view.width * view.ratio) + 2 * PAD_PX, Math.ceil(view.height * view.ratio) + 2 * PAD_PX];
  if (layer.canvas.width !== width || layer.canvas.height !== height || !layer.image) {
    Object.assign(layer.canvas, { width, height });
    layer.context = layer.canvas.getContext("2d");
    layer.image = layer.context.createImageData(width, height);
    layer.pixels = new Uint32Array(layer.image.data.buffer);
  } else layer.pixels.fill(0);
  return [width, height];
}

/** Draw dots for photo indices, the later ones on top; `paint(index)` is their colour. From near, headings show. */
function drawDots(context, view, photos, indices, paint) {
  const radius = Math.max(2.6, Math.min(6.5, 2.6 + view.scale * 0.45));
  const [width, height] = clearLayer(view);
  const ticks = new Path2D();
  const kinds = new Map(); // of each colour its stamp, and the pixels that already have one
  const kindOf = (shade) =>
    kinds.get(shade) ?? kinds.set(shade, { pixels: stamp(shade, radius, view.ratio), drawn: new Set() }).get(shade);
  for (const i of indices) {
    const [x, y] = [view.x(photos.east[i] / DM), view.y(photos.north[i] / DM)];
    const [left, top] = [Math.round(x * view.ratio) + PAD_PX, Math.round(y * view.ratio) + PAD_PX];
    if (left < PAD_PX || top < PAD_PX || left >= width - PAD_PX || top >= height - PAD_PX) continue;
    const { pixels, drawn } = kindOf(paint(i));
    if (drawn.has(top * width + left)) continue;
    drawn.add(top * width + left);
    for (const [dx, dy, pixel, opaque] of pixels) {
      const at = (top + dy) * width + left + dx;
      if (opaque || layer.pixels[at] === 0) layer.pixels[at] = pixel;
    }
    if (view.scale > 5 && photos.heading && photos.heading[i] !== null) {
      const angle = (photos.heading[i] * Math.PI) / 180;
      ticks.moveTo(x, y);
      ticks.lineTo(x + Math.sin(angle) * radius * 2.6, y - Math.cos(angle) * radius * 2.6);
    }
  }
  context.strokeStyle = colour("map-tick");
  context.lineWidth = 1.6;
  context.stroke(ticks);
  layer.context.putImageData(layer.image, 0, 0);
  const pad = PAD_PX / view.ratio;
  context.drawImage(layer.canvas, -pad, -pad, width / view.ratio, height / view.ratio);
}
