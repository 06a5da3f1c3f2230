// The review page: one photo at a time, its regions on a canvas; answers are posted as they are given.
const canvas = document.getElementById("picture");
const pen = canvas.getContext("2d");
const image = new Image();
let photos = [];
let at = 0;
let drag = null;

const colours = (region) => (region.unsure ? "#ffc400" : region.hidden ? "#e00020" : "#ffffff");

function draw() {
  const photo = photos[at];
  canvas.width = photo.width;
  canvas.height = photo.height;
  canvas.style.setProperty("--aspect", photo.width / photo.height); // small copies are enlarged to the page
  if (image.complete && image.naturalWidth) pen.drawImage(image, 0, 0, photo.width, photo.height);
  pen.lineWidth = Math.max(1.5, photo.width / 250);
  for (const region of photo.regions) {
    const [left, top, right, bottom] = region.box;
    pen.strokeStyle = colours(region);
    pen.strokeRect(left, top, right - left, bottom - top);
  }
  if (drag) {
    pen.strokeStyle = "#00b0ff";
    pen.strokeRect(drag.x, drag.y, drag.toX - drag.x, drag.toY - drag.y);
  }
}

function list() {
  const photo = photos[at];
  const entries = photo.regions.map((region, index) => {
    const button = document.createElement("button");
    const score = region.score === null ? "drawn by hand" : region.score.toFixed(2);
    button.type = "button";
    button.textContent = `${region.kind}, ${score}: ${region.unsure ? "unsure, hidden" : region.hidden ? "hidden" : "shown"}`;
    button.addEventListener("click", () => turn(index));
    const entry = document.createElement("li");
    entry.append(button);
    return entry;
  });
  const list = document.getElementById("regions");
  const held = [...list.children].findIndex((entry) => entry.contains(document.activeElement));
  list.replaceChildren(...entries);
  if (held >= 0 && entries.length) entries[Math.min(held, entries.length - 1)].firstChild.focus(); // the keyboard stays where it was
  const unsure = photos.filter((one) => one.regions.some((region) => region.unsure)).length;
  const some = photos.filter((one) => one.regions.length).length;
  document.getElementById("progress").textContent =
    `Photo ${at + 1} of ${photos.length}; ${some} with regions, ${unsure} with unsure ones left.`;
}

function show(index) {
  at = Math.min(Math.max(index, 0), photos.length - 1);
  image.onload = draw;
  image.src = `/photos/${photos[at].id}`;
  draw();
  list();
}

function tell(text) {
  const alert = document.getElementById("alert");
  alert.textContent = text;
  alert.hidden = !text;
}

async function save(photo, found, drawn) {
  try {
    const response = await fetch("/api/review", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: photo.id, verdicts: found.map((region) => region.verdict), drawn: drawn.map((region) => region.box) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    photo.regions = answer.regions;
    tell("");
  } catch (error) {
    tell(`Not saved: ${error.message}`);
  }
  draw();
  list();
}

const parts = (photo) => [photo.regions.filter((r) => r.score !== null), photo.regions.filter((r) => r.score === null)];

function turn(index) {
  const photo = photos[at];
  const region = photo.regions[index];
  const [found, drawn] = parts(photo);
  if (region.score === null) return save(photo, found, drawn.filter((one) => one !== region));
  const turned = { ...region, verdict: region.hidden ? "show" : "hide" };
  return save(photo, found.map((one) => (one === region ? turned : one)), drawn);
}

function undraw() {
  const [found, drawn] = parts(photos[at]);
  if (drawn.length) save(photos[at], found, drawn.slice(0, -1));
}

function place(event) {
  const frame = canvas.getBoundingClientRect();
  const x = Math.round(((event.clientX - frame.left) / frame.width) * canvas.width);
  const y = Math.round(((event.clientY - frame.top) / frame.height) * canvas.height);
  return [Math.min(Math.max(x, 0), canvas.width), Math.min(Math.max(y, 0), canvas.height)];
}

canvas.addEventListener("pointerdown", (event) => {
  const [x, y] = place(event);
  drag = { x, y, toX: x, toY: y };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (!drag) return;
  [drag.toX, drag.toY] = place(event);
  draw();
});
canvas.addEventListener("pointerup", () => {
  const { x, y, toX, toY } = drag;
  drag = null;
  const photo = photos[at];
  const box = [Math.min(x, toX), Math.min(y, toY), Math.max(x, toX), Math.max(y, toY)];
  if (box[2] - box[0] >= 3 && box[3] - box[1] >= 3) {
    const [found, drawn] = parts(photo);
    save(photo, found, [...drawn, { box }]);
    return;
  }
  const hit = photo.regions.findIndex(({ box: [l, t, r, b] }) => l <= x && x <= r && t <= y && y <= b);
  if (hit >= 0) turn(hit);
  else draw();
});
document.getElementById("back").addEventListener("click", () => show(at - 1));
document.getElementById("next").addEventListener("click", () => show(at + 1));
document.getElementById("undraw").addEventListener("click", undraw);
document.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") show(at - 1);
  if (event.key === "ArrowRight") show(at + 1);
  if (event.key === "u") undraw();
});

try {
  photos = (await (await fetch("/api/review")).json()).photos;
  show(0);
} catch (error) {
  tell(`The dataset cannot be read: ${error.message}`);
}
