// The audit's map: cells coloured by what is known of them, photos as dots, and the walk to take next.

const DAY_MIN = 24 * 60;
const CELL_MODES = {
  photos: { name: "Photos", steps: [1, 3, 6, 12], labels: ["none", "1–2", "3–5", "6–11", "12 or more"] },
  walks: { name: "Walks", steps: [1, 2, 3, 4], labels: ["none", "1", "2", "3", "4 or more"] },
  headings: { name: "Headings (of 8)", steps: [1, 2, 4, 6], labels: ["none", "1", "2–3", "4–5", "6–8"] },
  // counted in days until today, so that a fresher cell is darker
  age: { name: "Last visit", steps: [-Infinity, -90, -30, -7], labels: ["never", "over 90 days ago", "31–90 days", "8–30 days", "within 7 days"] },
  expected: { name: "Error to expect (m)", steps: [5, 10, 20, 40], labels: ["under 5", "5–10", "10–20", "20–40", "over 40"] },
};
const DOT_MODES = { split: "Split", device: "Device", walk: "Walk" };
const { cells, photos, stops } = data;
const pick = (id) => document.getElementById(id);
const stopButtons = [...document.querySelectorAll("[data-stop]")];
let chosenStop = null;
let values = cells;

/** Return the cells' figures as these photos alone would give them. */
function cellsOf(indices) {
  const made = cells.photos.map(() => ({ photos: 0, walks: new Set(), sectors: new Set(), latest: null }));
  for (const i of indices) {
    const cell = made[photos.cell[i]];
    if (!cell) continue;
    cell.photos += 1;
    cell.walks.add(photos.walk[i]);
    if (photos.heading[i] !== null) cell.sectors.add(Math.floor(((photos.heading[i] + 22.5) % 360) / 45));
    if (photos.minute[i] !== null) cell.latest = Math.max(cell.latest ?? -Infinity, photos.minute[i]);
  }
  return {
    expected: cells.expected, // of the run: filters do not train it anew
    photos: made.map((cell) => cell.photos),
    walks: made.map((cell) => cell.walks.size),
    headings: made.map((cell) => cell.sectors.size),
    age: made.map((cell) => (cell.latest === null ? null : Math.max(0, Math.floor((data.today - cell.latest) / DAY_MIN)))),
  };
}

/** Return the step of the ramp, 0 to 4, that a cell falls on. */
function step(mode, index) {
  const value = mode === "age" ? (values.age[index] === null ? null : -values.age[index]) : values[mode][index];
  return value === null ? 0 : CELL_MODES[mode].steps.filter((least) => value >= least).length;
}

/** Return the function from a photo to the colour of its dot. */
function dotColours() {
  const codes = photos[pick("dot-mode").value];
  const shades = [0, 1, 2, 3, 4, 5].map((i) => colour(`series-${i}`));
  return (index) => shades[codes[index] % 6];
}

const atlas = new Atlas(pick("map"), {
  clipped(context, view) {
    const mode = pick("cell-mode").value;
    if (mode !== "none") drawCells(context, view, cells, (i) => colour(`ramp-${step(mode, i)}`));
  },
  draw(context, view) {
    if (data.hole && pick("show-hole").checked) drawHole(context, view, data.hole);
    if (pick("dot-mode").value !== "none") drawDots(context, view, photos, atlas.shown, dotColours());
    if (stops.length && pick("show-walk").checked) drawStops(context, view, stops, chosenStop);
  },
  onPick: (indices) => panel.open(indices),
  onElse: (x, y) => describeCell(...atlas.view.place(x, y)),
});
const panel = new Panel(pick("panel"), (index) => atlas.select(index));
const list = new PhotoList(pick("list"), {
  label: (index) => (photos.minute[index] === null ? "time unknown" : writers.minute(photos.minute[index])),
  onPick: (indices, at) => panel.open(indices, at),
});
const facets = new Facets(pick("filters"), data.facets, photos, photos.id.length, show);

function show({ shown, active }) {
  pick("shown").textContent = active
    ? `${shown.length.toLocaleString("en")} of ${counted(photos.id.length, "photo")} shown`
    : `${counted(shown.length, "photo")}`;
  pick("clear").hidden = !active;
  values = active ? cellsOf(shown) : cells;
  list.fill(shown);
  atlas.show(shown);
  legend();
}

function legend() {
  const mode = pick("cell-mode").value;
  const dots = pick("dot-mode").value;
  const rows = [];
  if (mode !== "none") {
    const counts = [0, 0, 0, 0, 0];
    cells.east.forEach((_, i) => (counts[step(mode, i)] += 1));
    const items = CELL_MODES[mode].labels.map((label, i) => [`ramp-${i}`, `${label} (${counts[i].toLocaleString("en")})`]);
    rows.push(legendRow(`${CELL_MODES[mode].name} per cell`, items));
  }
  const facet = data.facets.find(({ key }) => key === dots);
  if (facet && facet.values.length <= 6) {
    rows.push(legendRow(DOT_MODES[dots], facet.values.map((value, i) => [`dot-${i}`, value])));
  }
  pick("legend").replaceChildren(...rows);
}

function legendRow(name, items) {
  const swatches = items.map(([shade, label]) => element("li", {}, element("span", { class: `swatch ${shade}` }), label));
  return element("ul", {}, element("li", {}, element("b", { text: name })), ...swatches);
}

/** The circle around the place farthest from any photo, through the nearest one. */
function drawHole(context, view, hole) {
  context.beginPath();
  context.arc(view.x(hole.east / DM), view.y(hole.north / DM), (hole.radius / DM) * view.scale, 0, 2 * Math.PI);
  context.setLineDash([6, 5]);
  context.lineWidth = 2;
  context.strokeStyle = colour("bad");
  context.stroke();
  context.setLineDash([]);
}

/** Say what is known of the cell at a place, in words. */
function describeCell(east, north) {
  const size = cells.size / DM;
  const inside = (i) => east >= cells.east[i] / DM && east < cells.east[i] / DM + size && north >= cells.north[i] / DM && north < cells.north[i] / DM + size;
  const index = cells.east.findIndex((_, i) => inside(i));
  legend();
  if (index < 0) return;
  const age = values.age[index];
  const visit = age === null ? "never visited" : age === 0 ? "visited today" : `last visited ${counted(age, "day")} ago`;
  const text = `This cell: ${counted(values.photos[index], "photo")}, ${counted(values.walks[index], "walk")}, ${counted(values.headings[index], "heading")}, ${visit}.`;
  pick("legend").append(element("p", { text }));
}

function chooseStop(index) {
  chosenStop = index;
  stopButtons.forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  pick("show-walk").checked = true;
  atlas.view.focus(stops[index].east / DM, stops[index].north / DM, 3);
  pick("map").scrollIntoView({ block: "center" });
}

for (const id of ["cell-mode", "dot-mode", "show-walk", "show-hole"]) {
  pick(id)?.addEventListener("change", () => {
    legend();
    atlas.redraw();
  });
}
stopButtons.forEach((button, i) => button.addEventListener("click", () => chooseStop(i)));
pick("clear").addEventListener("click", () => facets.clear());
narrowStart();
pick("print-walk")?.addEventListener("click", () => {
  pick("show-walk").checked = true;
  document.body.classList.add("print-walk");
  document.body.style.setProperty("--rows", Math.ceil(stopButtons.length / 3));
  atlas.view.fit();
  atlas.paint();
  window.print();
  document.body.classList.remove("print-walk");
});
