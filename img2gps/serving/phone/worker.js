// The model in the browser, beside the page's own thread: onnxruntime on one thread, no server.

import * as ort from "./ort.wasm.min.mjs";
import { answerPoint, familiarityOf, lonLatOf, regionRadii } from "./regions.js";
import { fitted, workingCopy } from "./resize.js";

const MOST_PX = 16_000_000; // of a canvas on iOS
const ALIKE = 4;
const TYPES = { F32: ["float32", Float32Array], F16: ["float16", globalThis.Float16Array ?? Uint16Array], U8: ["uint8", Uint8Array] };

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
ort.env.logLevel = "error";

const loading = load();

async function load() {
  const file = async (name) => fetched(new URL(`../model/${name}`, import.meta.url));
  const described = file("model.json").then((response) => response.json());
  // all at once: a gallery arrives while the graph is read
  const [model, session, gallery] = await Promise.all([described, sessionOf(file("model.onnx")), galleryOf(described, file)]);
  return { model, session, gallery };
}

async function sessionOf(response) {
  const graph = new Uint8Array(await (await response).arrayBuffer());
  // optimising the graph takes longer than it saves: a page locates a photo or two
  return ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" });
}

async function galleryOf(described, file) {
  const { gallery } = await described;
  return gallery ? tensors(await (await file(gallery.file)).arrayBuffer()) : {};
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} is missing (${response.status}).`);
  return response;
}

/** Return the tensors of a .safetensors file by name. */
function tensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  return Object.fromEntries(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [begin, end] }]) => {
      const [kind, Numbers] = TYPES[dtype];
      // a copy, for the numbers need not begin where their type may
      return [name, new ort.Tensor(kind, new Numbers(buffer.slice(8 + length + begin, 8 + length + end)), shape)];
    }),
  );
}

/** Return a file's RGB pixels, upright as browsers show it, in sRGB, transparent ones over white. */
async function pixelsOf(file) {
  let bitmap = await createImageBitmap(file);
  if (bitmap.width * bitmap.height > MOST_PX) {
    const scale = Math.sqrt(MOST_PX / (bitmap.width * bitmap.height));
    const options = { resizeWidth: Math.floor(bitmap.width * scale), resizeHeight: Math.floor(bitmap.height * scale), resizeQuality: "high" };
    const smaller = await createImageBitmap(bitmap, options);
    bitmap.close();
    bitmap = smaller;
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8ClampedArray(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return { width, height, data: rgb };
}

async function isJpeg(file) {
  const head = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
}

async function located(file) {
  const { model, session, gallery } = await loading;
  let photo;
  try {
    photo = await pixelsOf(file);
  } catch {
    return { file: file.name, lon: null, lat: null, radius_50_m: null, radius_90_m: null, familiarity: null, error: "this browser cannot read it as a photo", alike: [] };
  }
  const planes = fitted(workingCopy(photo, await isJpeg(file)), model.pixels);
  const { height, width } = model.pixels;
  const given = { ...gallery, images: new ort.Tensor("uint8", planes, [1, 3, height, width]) };
  const inputs = Object.fromEntries(session.inputNames.map((name) => [name, given[name]]));
  const found = await session.run(inputs);
  const outputs = Object.fromEntries(session.outputNames.map((name) => [name, [...found[name].data].map(Number)]));
  return { file: file.name, error: null, ...answerOf(outputs, model, gallery) };
}

function answerOf(outputs, model, gallery) {
  if (!model.cells) return pointOf(outputs.coordinates, model);
  const { centres, size_m: cell } = model.cells;
  const probs = outputs.log_probs.map(Math.exp);
  const point = answerPoint(probs, centres, model.answer, model.bandwidth_m);
  const [lon, lat] = lonLatOf(model.frame, point);
  const [radius50, radius90] = regionRadii(outputs.log_probs, centres, point, cell, model.calibration);
  const most = Math.max(...probs);
  return {
    lon,
    lat,
    radius_50_m: radius50,
    radius_90_m: radius90,
    familiarity: outputs.similarity ? familiarityOf(model.familiarity.held_out, outputs.similarity[0]) : null,
    shares: probs.map((prob) => Math.round((255 * prob) / most)),
    alike: alikeOf(outputs, model, gallery),
  };
}

function alikeOf(outputs, model, gallery) {
  if (!outputs.matches || !gallery["gallery.xy"]) return [];
  const places = gallery["gallery.xy"].data;
  return outputs.matches.slice(0, ALIKE).map((row) => {
    const [lon, lat] = lonLatOf(model.frame, [places[2 * row], places[2 * row + 1]]);
    return { photo: row, lon, lat };
  });
}

/** Return the place that a network names by two numbers: scaled metres, or scaled latitude and longitude. */
function pointOf(numbers, model) {
  const { kind, scale, offset } = model.target;
  const values = numbers.map((value, i) => value * (Array.isArray(scale) ? scale[i] : scale) + (Array.isArray(offset) ? offset[i] : offset));
  const [lon, lat] = kind === "degrees" ? [values[1], values[0]] : lonLatOf(model.frame, values);
  return { lon, lat, radius_50_m: null, radius_90_m: null, familiarity: null, shares: null, alike: [] };
}

loading.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ ready: false, error: error.message }),
);

onmessage = async ({ data: { turn, files } }) => {
  try {
    const rows = [];
    for (const file of files) rows.push(await located(file));
    postMessage({ turn, rows });
  } catch (error) {
    postMessage({ turn, error: error.message });
  }
};
