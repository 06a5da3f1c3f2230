// A site is drawn: corners are set by clicks and moved by dragging; parts and holes are rings of corners in metres.

const at = (id) => document.getElementById(id);
const REACH_PX = { mouse: 9, pen: 12, touch: 22 };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const STEP_PX = 8;
const [mPerLon, mPerLat] = data.perDegree;
const toMetres = ([lon, lat]) => [(lon - data.origin[0]) * mPerLon, (lat - data.origin[1]) * mPerLat];
const toDegrees = ([east, north]) => [round7(data.origin[0] + east / mPerLon), round7(data.origin[1] + north / mPerLat)];
const round7 = (degrees) => Math.round(degrees * 1e7) / 1e7;
const inMetres = (parts) => parts.map((rings) => rings.map((ring) => ring.map(toMetres)));

let parts = inMetres(data.parts); // [part][ring: outline, then holes][corner]
let chosen = parts.length ? { part: 0, ring: 0, corner: null } : null;
let saved = true;
const past = [];

class Editor extends View {
  press(event) {
    super.press(event);
    this.dragged = this.pointers.size === 1 ? nearest(this, event) : null;
    this.began = false;
    this.canvas.focus({ preventScroll: true });
  }

  drag(event) {
    if (!this.dragged || this.pointers.size > 1) return super.drag(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    this.moved += Math.hypot(event.offsetX - before[0], event.offsetY - before[1]);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.moved <= TAP_PX) return;
    if (!this.began) remember();
    this.began = true;
    chosen = this.dragged;
    ringOf(chosen)[chosen.corner] = this.place(event.offsetX, event.offsetY);
    changed();
  }

  release(event) {
    this.kind = event.pointerType;
    super.release(event);
    if (!this.pointers.size) this.dragged = null;
  }

  key(event) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      removeCorner();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      undo();
    } else if (event.shiftKey && chosen?.corner != null && STEPS[event.key]) {
      event.preventDefault();
      moveCorner(STEPS[event.key]);
    } else super.key(event);
  }
}

function ringOf({ part, ring }) {
  return parts[part][ring];
}

function* corners() {
  for (const [part, rings] of parts.entries())
    for (const [ring, spots] of rings.entries()) for (const [corner, spot] of spots.entries()) yield { part, ring, corner, spot };
}

function nearest(view, event) {
  const reach = REACH_PX[event.pointerType] ?? REACH_PX.mouse;
  let best = null;
  let least = reach;
  for (const one of corners()) {
    const away = Math.hypot(view.x(one.spot[0]) - event.offsetX, view.y(one.spot[1]) - event.offsetY);
    if (away <= least) [best, least] = [{ part: one.part, ring: one.ring, corner: one.corner }, away];
  }
  return best;
}

// A click chooses the corner under it, or sets a new one: on the edge it lies nearest to, once there are three.
function tap(x, y) {
  const hit = nearest(view, { offsetX: x, offsetY: y, pointerType: view.kind });
  if (hit) {
    chosen = hit;
    return changed(false);
  }
  remember();
  if (!chosen) {
    parts.push([[]]);
    chosen = { part: parts.length - 1, ring: 0, corner: null };
  }
  const ring = ringOf(chosen);
  const spot = view.place(x, y);
  const corner = ring.length < 3 || chosen.open ? ring.length : edgeNear(ring, spot) + 1;
  ring.splice(corner, 0, spot);
  chosen = { ...chosen, corner };
  changed();
}

function edgeNear(ring, [x, y]) {
  const gaps = ring.map(([ax, ay], index) => {
    const [bx, by] = ring[(index + 1) % ring.length];
    const length = (bx - ax) ** 2 + (by - ay) ** 2 || 1;
    const along = Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
    return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay));
  });
  return gaps.indexOf(Math.min(...gaps));
}

function moveCorner([right, up]) {
  remember();
  const spot = ringOf(chosen)[chosen.corner];
  ringOf(chosen)[chosen.corner] = [spot[0] + (right * STEP_PX) / view.scale, spot[1] + (up * STEP_PX) / view.scale];
  changed();
}

function remember() {
  past.push(JSON.stringify({ parts, chosen }));
  if (past.length > 200) past.shift();
}

function undo() {
  if (!past.length) return;
  ({ parts, chosen } = JSON.parse(past.pop()));
  changed();
}

function removeCorner() {
  if (chosen?.corner == null) return;
  remember();
  const { part, ring, corner } = chosen;
  parts[part][ring].splice(corner, 1);
  if (parts[part][ring].length) chosen = { ...chosen, corner: Math.max(0, corner - 1) };
  else {
    parts[part].splice(ring, 1);
    if (ring === 0) parts.splice(part, 1);
    chosen = parts.length ? { part: parts.length - 1, ring: 0, corner: null } : null;
  }
  changed();
}

// Rings that are not begun yet leave nothing behind.
function begin(hole) {
  remember();
  parts = parts.map((rings) => rings.filter((ring) => ring.length)).filter((rings) => rings.length);
  if (hole) {
    const part = Math.min(chosen?.part ?? 0, parts.length - 1);
    parts[part].push([]);
    chosen = { part, ring: parts[part].length - 1, corner: null, open: true };
  } else {
    parts.push([[]]);
    chosen = { part: parts.length - 1, ring: 0, corner: null, open: true };
  }
  changed();
}

function changed(edited = true) {
  if (edited) saved = false;
  at("hole").disabled = !parts.some(([outline]) => outline?.length >= 3);
  at("remove").disabled = chosen?.corner == null;
  at("undo").disabled = !past.length;
  at("clear").disabled = !parts.length;
  at("hint").textContent = hint();
  draw();
}

function hint() {
  const open = chosen && ringOf(chosen);
  const what = chosen?.ring ? "hole" : "outline";
  if (!open || open.length < 3) return `Click where the corners of the ${what} are: at least three.`;
  const drawn = parts.length === 1 ? "One part" : `${parts.length} parts`;
  return `${drawn}, ${Math.round(area()).toLocaleString("en")} m². Drag corners to move them; a click sets another one.`;
}

function area() {
  const ringArea = (ring) => Math.abs(ring.reduce((sum, [x, y], i) => sum + x * ring[(i + 1) % ring.length][1] - ring[(i + 1) % ring.length][0] * y, 0)) / 2;
  return parts.reduce((sum, [outline, ...holes]) => sum + ringArea(outline) - holes.reduce((less, hole) => less + ringArea(hole), 0), 0);
}

function pathOf(rings, close) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([east, north], index) => path[index ? "lineTo" : "moveTo"](view.x(east), view.y(north)));
    if (close && ring.length > 2) path.closePath();
  }
  return path;
}

function draw() {
  const context = view.canvas.getContext("2d");
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  context.fillStyle = colour("map-ground");
  context.fillRect(0, 0, view.width, view.height);
  for (const rings of parts) {
    context.fillStyle = colour("map-site");
    context.fill(pathOf(rings, true), "evenodd");
  }
  if (data.ground) drawGround(context);
  context.fillStyle = colour("text");
  context.globalAlpha = 0.55;
  data.dots[0].forEach((east, index) => context.fillRect(view.x(east / 10) - 2, view.y(data.dots[1][index] / 10) - 2, 4, 4));
  context.globalAlpha = 1;
  context.lineWidth = 2.5;
  context.strokeStyle = colour("map-outline");
  for (const rings of parts) context.stroke(pathOf(rings, true));
  for (const one of corners()) {
    const here = chosen && one.part === chosen.part && one.ring === chosen.ring;
    context.beginPath();
    context.arc(view.x(one.spot[0]), view.y(one.spot[1]), here && one.corner === chosen.corner ? 8 : 5, 0, 7);
    context.fillStyle = here ? colour("map-outline") : colour("map-site");
    context.fill();
    context.stroke();
  }
  drawMiddle(context);
}

// Enter sets a corner in the middle of the map: whoever uses the keyboard sees where that is.
function drawMiddle(context) {
  if (!view.canvas.matches(":focus-visible")) return;
  const [x, y] = [view.width / 2, view.height / 2];
  context.strokeStyle = colour("text");
  context.lineWidth = 1.5;
  context.stroke(new Path2D(`M${x - 12} ${y}H${x + 12}M${x} ${y - 12}V${y + 12}`));
}

function drawGround(context) {
  const lines = (rings) => ringPath(view, rings ?? [], false);
  context.strokeStyle = colour("map-path");
  context.lineWidth = 1.5;
  context.stroke(lines(data.ground.paths));
  context.fillStyle = colour("map-building");
  context.fill(ringPath(view, (data.ground.buildings ?? []).flat()), "evenodd");
}

function bounds() {
  const spots = [...[...corners()].map(({ spot }) => spot), ...data.dots[0].map((east, i) => [east / 10, data.dots[1][i] / 10])];
  const easts = spots.map(([east]) => east).sort((a, b) => a - b);
  const norths = spots.map(([, north]) => north).sort((a, b) => a - b);
  if (!spots.length) return [-300, -300, 300, 300];
  const cut = Math.floor(spots.length * 0.02); // a few wild fixes must not make the map of a campus one of a country
  const [west, east, south, north] = [easts[cut], easts.at(-1 - cut), norths[cut], norths.at(-1 - cut)];
  const room = Math.max(60, (east - west) / 4, (north - south) / 4);
  return [west - room, south - room, east + room, north + room];
}

async function save(event) {
  event.preventDefault();
  const rings = parts.filter(([outline]) => outline?.length >= 3).map((part) => part.filter((ring) => ring.length >= 3));
  const closed = (ring) => [...ring, ring[0]].map(toDegrees);
  const geometry = { type: "MultiPolygon", coordinates: rings.map((part) => part.map(closed)) };
  const body = JSON.stringify({ geometry, name: at("name").value.trim(), time_zone: at("zone").value.trim() });
  at("save").disabled = true;
  try {
    if (!rings.length) throw new Error("There is nothing to save: set at least three corners.");
    const response = await fetch("/api/site", { method: "POST", headers: { "content-type": "application/json" }, body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    saved = true;
    at("zone").value = answer.time_zone ?? "";
    const zone = answer.time_zone ? `, clocks of ${answer.time_zone}` : "; no time zone is known: type one";
    tell(`Saved to ${answer.file}: ${Math.round(answer.area_m2).toLocaleString("en")} m², ${answer.inside} of ${answer.photos} photos inside${zone}.`);
  } catch (error) {
    tell(error instanceof TypeError ? "Not saved: the program does not answer. Is it still running?" : error.message, true);
  } finally {
    at("save").disabled = false;
  }
}

function tell(text, bad = false) {
  at("answer").textContent = text;
  at("answer").classList.toggle("bad", bad);
}

const view = new Editor(at("map"), bounds(), { onChange: () => view?.ratio && draw(), onTap: tap });
at("name").value = data.name;
at("credit").textContent = data.ground?.credit ?? "";
at("credit").hidden = !data.ground?.credit; // the licence of a base map asks to be named wherever it is shown
at("zone").value = data.zone ?? "";
at("part").addEventListener("click", () => begin(false));
at("hole").addEventListener("click", () => begin(true));
at("remove").addEventListener("click", removeCorner);
at("undo").addEventListener("click", undo);
at("clear").addEventListener("click", () => (remember(), (parts = []), (chosen = null), changed()));
at("propose").addEventListener("click", () => (remember(), (parts = inMetres(data.proposal)), (chosen = { part: 0, ring: 0, corner: null }), changed()));
at("propose").disabled = !data.proposal.length;
at("in").addEventListener("click", () => view.zoom(1.5));
at("out").addEventListener("click", () => view.zoom(1 / 1.5));
at("fit").addEventListener("click", () => view.fit());
for (const kind of ["focus", "blur"]) view.canvas.addEventListener(kind, draw);
at("form").addEventListener("submit", save);
addEventListener("beforeunload", (event) => saved || event.preventDefault());
changed(false);
