// The page: a photo in, its place on the map, in words for those who do not see the map.

const byId = (id) => document.getElementById(id);
const state = { rows: [], pictures: [], shown: 0, busy: 0 };
const LEAST_REGION_PX = 28;
const VERDICTS = {
  here: "It was taken here.",
  unsure: "Not sure where this is.",
  elsewhere: "This does not look like the site.",
};

class AnswerMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.answer = null;
    const bounds = data.site.bounds.map((value) => value / DM);
    this.view = new View(canvas, bounds, { onChange: () => this.redraw(), onTap: () => {} });
    const { ground } = data.site;
    this.ground = ground ? new Ground(ground, { colour, onMore: () => this.redraw() }) : null;
    darkMode.addEventListener("change", () => {
      this.ground?.forget();
      this.redraw();
    });
    for (const [id, act] of [["zoom-in", (v) => v.zoom(1.5)], ["zoom-out", (v) => v.zoom(1 / 1.5)], ["zoom-fit", (v) => v.fit()]]) {
      byId(id).addEventListener("click", () => act(this.view));
    }
  }

  /** Draw an answer in metres, {east, north, radius50, radius90, shares, alike: [[east, north], ...]}; null for none. */
  show(answer) {
    this.answer = answer;
    if (!this.view.width) return;
    this.view.fit();
    if (answer?.radius90) {
      // all of a site says most; on a large one the region would be too small to see
      const least = LEAST_REGION_PX / Math.max(answer.radius90, 1);
      if (this.view.scale < least) this.view.focus(answer.east, answer.north, least);
    }
  }

  redraw() {
    if (this.waiting || !this.view?.width) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  paint() {
    const { context, view, answer } = this;
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    context.fillStyle = colour("map-ground");
    context.fillRect(0, 0, view.width, view.height);
    context.lineJoin = context.lineCap = "round";
    this.ground?.prepare(view);
    drawSite(context, view, data.site, this.ground, () => {
      if (answer?.shares && data.cells) this.cells(answer.shares);
    });
    if (answer) this.regions(answer);
    drawScaleAndNorth(context, view);
    Object.assign(this.canvas.dataset, { east: view.east, north: view.north, pxPerM: view.scale });
  }

  cells(shares) {
    const { context } = this;
    const shade = colour("series-1");
    drawCells(context, this.view, data.cells, (i) => {
      if (shares[i] < 8) return null;
      context.globalAlpha = 0.12 + (0.58 * shares[i]) / 255;
      return shade;
    });
    context.globalAlpha = 1;
  }

  regions(answer) {
    const { context, view } = this;
    const [x, y] = [view.x(answer.east), view.y(answer.north)];
    const accent = colour("accent");
    const disc = (radius) => {
      context.beginPath();
      context.arc(x, y, radius * view.scale, 0, 2 * Math.PI);
    };
    for (const [radius, dash, alpha] of [[answer.radius90, [7, 6], 0.07], [answer.radius50, [], 0.16]]) {
      if (!radius) continue;
      disc(radius);
      if (!answer.shares) {
        // over likelier cells a fill would take their colour
        context.globalAlpha = alpha;
        context.fillStyle = accent;
        context.fill();
        context.globalAlpha = 1;
      }
      context.setLineDash(dash);
      for (const [width, shade] of [[4.5, colour("map-halo")], [2.2, accent]]) {
        Object.assign(context, { lineWidth: width, strokeStyle: shade });
        context.stroke();
      }
      context.setLineDash([]);
    }
    for (const [east, north] of answer.alike) this.dot(view.x(east), view.y(north), 4.5, colour("series-2"));
    this.dot(x, y, 7.5, accent);
  }

  dot(x, y, radius, shade) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    Object.assign(context, { fillStyle: shade, strokeStyle: colour("map-halo"), lineWidth: 2.5 });
    context.fill();
    context.stroke();
  }
}

const map = new AnswerMap(byId("map"));

/** Return metres east and north of the site's origin; on a site a plane is exact to some centimetres. */
function metresOf(lon, lat) {
  const [originLon, originLat] = data.origin;
  const phi = (originLat * Math.PI) / 180;
  const perLat = 111132.954 - 559.822 * Math.cos(2 * phi) + 1.175 * Math.cos(4 * phi);
  const perLon = 111412.84 * Math.cos(phi) - 93.5 * Math.cos(3 * phi) + 0.118 * Math.cos(5 * phi);
  return [(lon - originLon) * perLon, (lat - originLat) * perLat];
}

const metres = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)}\u00a0km` : `${value.toFixed(0)}\u00a0m`);

/** Return what one row says, in a sentence or two. */
function sentence(row) {
  const place = row.place ? `${row.place[0].toUpperCase()}${row.place.slice(1)}. ` : "";
  if (row.radius_50_m === null) return `${place}This model gives a point and no region.`;
  const regions = `As likely as not within ${metres(row.radius_50_m)} of the dot, nine times in ten within ${metres(row.radius_90_m)}.`;
  if (row.verdict === "elsewhere") {
    return `It looks less like the site than 19 in 20 photos taken there. If it was taken there all the same: ${regions.toLowerCase()}`;
  }
  return row.verdict === "here" ? place + regions : regions;
}

function say(verdict, detail, kind) {
  byId("verdict").textContent = verdict;
  byId("detail").textContent = detail;
  document.querySelector(".said").className = `said ${kind}`;
  document.body.dataset.state = kind;
}

/** Show the answer to photo `index`. */
function show(index) {
  state.shown = index;
  const row = state.rows[index];
  const picture = byId("preview");
  picture.hidden = !state.pictures[index];
  if (state.pictures[index]) picture.src = state.pictures[index];
  byId("photos").querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-current", i === index));
  if (row.error !== null) {
    say("This photo cannot be read.", `${row.error[0].toUpperCase()}${row.error.slice(1)}.`, "failed");
    map.show(null);
    byId("position").hidden = byId("alike").hidden = true;
    return;
  }
  const [east, north] = metresOf(row.lon, row.lat);
  const places = row.alike.filter((one) => one.lon !== undefined).map((one) => metresOf(one.lon, one.lat));
  map.show({ east, north, radius50: row.radius_50_m, radius90: row.radius_90_m, shares: row.shares, alike: places });
  byId("key-alike").hidden = places.length === 0;
  byId("position").hidden = false;
  byId("lonlat").textContent = `${row.lat.toFixed(6)}, ${row.lon.toFixed(6)}`;
  showAlike(row);
  say(VERDICTS[row.verdict], sentence(row), row.verdict);
}

function showAlike(row) {
  const pictures = row.alike.filter((one) => one.url);
  byId("alike").hidden = pictures.length === 0;
  const [east, north] = metresOf(row.lon, row.lat);
  byId("alike-list").replaceChildren(
    ...pictures.map((one) => {
      let text = "";
      if (one.lon !== undefined) {
        const [itsEast, itsNorth] = metresOf(one.lon, one.lat);
        text = `${metres(Math.hypot(itsEast - east, itsNorth - north))} away`;
      }
      return element("li", {}, element("img", { src: one.url, alt: `A photo of the site, ${text}` }), element("span", { text }));
    }),
  );
}

/** Make a row of buttons where there are several photos. */
function listPhotos(files) {
  const list = byId("photos");
  list.hidden = files.length < 2;
  list.replaceChildren(
    ...files.map((file, i) => {
      const unread = ({ target }) => target.replaceWith(String(i + 1)); // HEIC in most browsers, or no photo
      const picture = element("img", { src: state.pictures[i], alt: "", on: { error: unread } });
      const label = `Photo ${i + 1} of ${files.length}`;
      return element("li", {}, element("button", { type: "button", "aria-label": label, on: { click: () => show(i) } }, picture));
    }),
  );
}

async function ask(files) {
  if (!files.length) return;
  const turn = ++state.busy;
  for (const url of state.pictures) URL.revokeObjectURL(url);
  state.pictures = files.map((file) => URL.createObjectURL(file));
  const picture = byId("preview");
  picture.src = state.pictures[0];
  picture.hidden = false;
  byId("alike").hidden = byId("position").hidden = byId("photos").hidden = true;
  map.show(null);
  say(files.length > 1 ? `Locating ${files.length} photos …` : "Locating the photo …", "", "busy");
  const began = performance.now();
  try {
    const rows = await locatePhotos(files, { walk: byId("walk").checked && files.length > 1 });
    if (turn !== state.busy) return; // another photo was chosen meanwhile
    state.rows = rows;
    listPhotos(files);
    show(0);
    document.body.dataset.seconds = ((performance.now() - began) / 1000).toFixed(2);
  } catch (error) {
    if (turn !== state.busy) return;
    say("That did not work.", error.message, "failed");
  }
}

for (const id of ["camera", "file"]) {
  byId(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // the same file may be chosen again
    ask(files);
  });
}
byId("preview").addEventListener("error", (event) => (event.target.hidden = true)); // HEIC, in most browsers
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText(byId("lonlat").textContent).catch(() => {});
  byId("copy").textContent = navigator.clipboard ? "Copied" : "Select it to copy";
  setTimeout(() => (byId("copy").textContent = "Copy"), 1500);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    if (kind === "drop" || !event.relatedTarget) document.body.classList.remove("dropping");
    if (kind === "drop") ask([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => ask([...(event.clipboardData?.files ?? [])]));

byId("about").textContent = `Photos of ${data.siteName}: take or choose one, its own position is not needed.`;
byId("model").textContent = `Model ${data.modelName}.${data.tellsStrangers ? "" : " It does not tell photos of elsewhere from those of the site."}`;
byId("attribution").textContent = data.site.ground?.credit ?? "";
byId("walk-choice").hidden = !data.walks;
byId("key-cells").hidden = !data.cells;
engineReady().then(
  () => (document.body.dataset.ready = "true"),
  (error) => say("The model could not be loaded.", error.message, "failed"),
);
