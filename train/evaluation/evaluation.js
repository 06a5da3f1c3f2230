// The evaluation's map: an arrow from where each photo was taken to where the model put it.

const { cells, photos } = data;
const pick = (id) => document.getElementById(id);
const ERROR_STEPS = [10, 25, 50];
const ERROR_LABELS = ["up to 10 m", "10–25 m", "25–50 m", "over 50 m"];

/** Return the class of an error in metres, 0 to 3. */
function grade(error) {
  return ERROR_STEPS.filter((least) => error > least).length;
}

const grades = photos.error.map(grade);
const errorColour = (index) => colour(`error-${grades[index]}`);

/** The regions that the model claims hold the truth with 50 % and 90 %. */
function drawRadii(context, view, index) {
  for (const radius of [photos.radius50[index], photos.radius90[index]]) {
    if (radius === null) continue;
    context.beginPath();
    context.arc(view.x(photos.toEast[index] / DM), view.y(photos.toNorth[index] / DM), (radius / DM) * view.scale, 0, 2 * Math.PI);
    context.strokeStyle = colour("accent");
    context.lineWidth = 1.5;
    context.stroke();
  }
}

const atlas = new Atlas(pick("map"), {
  clipped(context, view) {
    const expected = pick("show-forecast")?.checked ? data.forecast : null;
    const drawn = expected ?? (pick("show-cells").checked ? cells : null);
    if (drawn === null) return;
    context.globalAlpha = 0.45;
    drawCells(context, view, drawn, (i) => colour(`error-${grade(drawn.median[i])}`));
    context.globalAlpha = 1;
  },
  draw(context, view) {
    const selected = atlas.selected;
    const mode = pick("show-mode").value;
    const crowded = atlas.shown.length > 300;
    context.globalAlpha = selected !== null ? 0.25 : crowded && mode === "arrows" ? 0.75 : 1;
    if (mode === "arrows") drawArrows(context, view, photos, atlas.shown, errorColour);
    if (mode === "answers") drawDots(context, view, { east: photos.toEast, north: photos.toNorth }, atlas.shown, errorColour);
    if (mode === "truth") drawDots(context, view, photos, atlas.shown, errorColour);
    context.globalAlpha = 1;
    if (selected === null) return;
    drawRadii(context, view, selected);
    drawArrows(context, view, photos, [selected], errorColour);
  },
  onPick: (indices) => panel.open(indices),
});
const panel = new Panel(pick("panel"), (index) => atlas.select(index));
const list = new PhotoList(pick("list"), {
  label: (index) => `${(photos.error[index]).toFixed(1)} m off`,
  onPick: (indices, at) => panel.open(indices, at),
});
const facets = new Facets(pick("filters"), data.facets, photos, photos.id.length, show);

/** Return the figures of these photos: median, root mean square, share within 25 m. */
function figures(indices) {
  const errors = indices.map((i) => photos.error[i]).sort((a, b) => a - b);
  const half = errors.length / 2;
  const median = (errors[Math.ceil(half) - 1] + errors[Math.floor(half)]) / 2;
  const square = errors.reduce((sum, error) => sum + error * error, 0) / errors.length;
  return { median, rmse: Math.sqrt(square), within: errors.filter((error) => error <= 25).length / errors.length };
}

function show({ shown, active }) {
  pick("shown").textContent = active
    ? `${shown.length.toLocaleString("en")} of ${counted(photos.id.length, "photo")} shown`
    : counted(shown.length, "photo");
  const { median, rmse, within } = figures(shown);
  pick("live").textContent = shown.length
    ? `Median ${median.toFixed(1)} m, RMSE ${rmse.toFixed(1)} m, within 25 m ${(100 * within).toFixed(0)} %`
    : "No photo passes these filters.";
  pick("clear").hidden = !active;
  const worstFirst = [...shown].sort((a, b) => photos.error[b] - photos.error[a]);
  list.fill(worstFirst);
  atlas.show([...worstFirst].reverse()); // the worst are drawn last, on top
}

function legend() {
  const items = ERROR_LABELS.map((label, i) => element("li", {}, element("span", { class: `swatch error-${i}` }), label));
  pick("legend").replaceChildren(element("ul", {}, element("li", {}, element("b", { text: "Error" })), ...items));
}

for (const id of ["show-mode", "show-cells", "show-forecast"]) pick(id)?.addEventListener("change", () => atlas.redraw());
pick("clear").addEventListener("click", () => facets.clear());
for (const button of document.querySelectorAll("[data-worst]")) {
  button.addEventListener("click", () => {
    panel.open([photos.id.indexOf(button.dataset.worst)]);
    pick("map").scrollIntoView({ block: "center" });
  });
}
legend();
narrowStart();
