// The map: draws the site and the photos in metres, and turns pointers into moves, turns and glances around.

const CLICK_PX = 5;
// How near a dot has to be to be meant: a mouse points to some pixels, a finger to some millimetres.
const REACH_PX = { mouse: 9, pen: 12, touch: 22 };
const svg = document.getElementById("map");
const at = (id) => document.getElementById(id);

export class MapView extends EventTarget {
  #store;
  #projection;
  #view = { x: 0, y: 0, scale: 1 };
  #pointers = new Map();
  #gesture = null;
  #photo = null;
  #scope = [];
  #picked = false;
  #ground = null;
  // a photo without a position waits for a click: where it goes, and nothing else
  placing = false;
  #due = 0;

  constructor(store) {
    super();
    this.#store = store;
    this.#projection = store.dataset.projection;
    at("outline").setAttribute("d", this.#path(store.dataset.site.geometry));
    at("buildings").setAttribute("d", store.dataset.buildings.map((shape) => this.#path(shape)).join(""));
    at("paths").setAttribute("d", store.dataset.paths.map((shape) => this.#path(shape)).join(""));
    if (store.dataset.ground) this.#lay(store.dataset.ground);
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#draw();
    new ResizeObserver(() => (this.#fitted ? this.#place() : this.fit())).observe(svg);
  }

  // The basemap lies on a canvas below: its pictures move with the map.
  #lay(columns) {
    svg.parentElement.classList.add("mapped");
    at("credit").textContent = columns.credit;
    at("credit").hidden = false;
    const shades = new Map();
    const colour = (name) => shades.get(name) ?? shades.set(name, getComputedStyle(svg).getPropertyValue(`--${name}`).trim()).get(name);
    this.#ground = new Ground(columns, { colour, onMore: () => this.#drawGround() });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      shades.clear();
      this.#ground.forget();
      this.#drawGround();
    });
  }

  #drawGround() {
    if (!this.#ground || this.#due) return;
    this.#due = requestAnimationFrame(() => {
      this.#due = 0;
      const [canvas, view] = [at("ground"), this.#seen()];
      if (!view.width || !view.height) return;
      const size = [Math.round(view.width * view.ratio), Math.round(view.height * view.ratio)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      const context = canvas.getContext("2d");
      context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
      context.clearRect(0, 0, view.width, view.height);
      this.#paintGround(context, view);
      canvas.dataset.painted = String(Number(canvas.dataset.painted ?? 0) + 1);
    });
  }

  #paintGround(context, view) {
    const inside = new Path2D();
    const placed = new DOMMatrix([view.scale, 0, 0, view.scale, view.x(0), view.y(0)]);
    inside.addPath(new Path2D(at("outline").getAttribute("d")), placed);
    context.fillStyle = getComputedStyle(svg).getPropertyValue("--site");
    context.fill(inside, "evenodd");
    this.#ground.prepare(view);
    this.#ground.paint(context, view, 0);
    this.#ground.paint(context, view, 1);
    const around = new Path2D(inside);
    around.rect(0, 0, view.width, view.height);
    context.globalAlpha = 0.4;
    context.fillStyle = getComputedStyle(svg).getPropertyValue("--ground");
    context.fill(around, "evenodd");
    context.globalAlpha = 1;
    this.#ground.names(context, view);
  }

  // What is seen, in the words of the reports' maps: north up.
  #seen() {
    const [v, width, height] = [this.#view, svg.clientWidth, svg.clientHeight];
    const x = (east) => (east - v.x) * v.scale + width / 2;
    const y = (north) => (-north - v.y) * v.scale + height / 2;
    return { width, height, ratio: Math.min(devicePixelRatio || 1, 3), scale: v.scale, east: v.x, north: -v.y, x, y };
  }

  // East and north of the origin in metres, north up: y grows southwards as pixels do.
  xy({ lon, lat }) {
    const p = this.#projection;
    return [around(lon - p.lon) * p.m_per_lon, (p.lat - lat) * p.m_per_lat];
  }

  // The position (degrees) that lies (east, north) metres from another.
  shifted({ lon, lat }, east, north) {
    const p = this.#projection;
    const round = (degrees) => Math.round(degrees * 1e8) / 1e8;
    return { lon: round(around(lon + east / p.m_per_lon)), lat: round(lat + north / p.m_per_lat) };
  }

  show(photo, scope) {
    if (photo !== this.#photo) {
      this.#gesture = null;
      this.#pick(false);
    }
    this.#photo = photo;
    this.#scope = scope;
    this.#draw();
  }

  // Bring the photo into view where it is not, without touching the zoom a person chose.
  follow() {
    const [x, y] = this.#pixel(this.xy(this.#store.position(this.#photo)));
    const { width, height } = svg.getBoundingClientRect();
    if (x > 40 && y > 40 && x < width - 60 && y < height - 40) return;
    [this.#view.x, this.#view.y] = this.xy(this.#store.position(this.#photo));
    this.#place();
  }

  #fitted = false;

  fit() {
    const { width, height } = svg.getBoundingClientRect();
    if (!width || !height) return;
    const box = at("outline").getBBox();
    const margin = Math.min(60, width / 8);
    this.#view = {
      x: box.x + box.width / 2,
      y: box.y + box.height / 2,
      scale: Math.min((width - margin) / Math.max(box.width, 1), (height - margin) / Math.max(box.height, 1)),
    };
    this.#fitted = true;
    this.#place();
  }

  zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
    const [mx, my] = this.#metres(x, y);
    const scale = Math.min(Math.max(this.#view.scale * factor, 1e-5), 200);
    this.#view = { x: mx - (x - svg.clientWidth / 2) / scale, y: my - (y - svg.clientHeight / 2) / scale, scale };
    this.#place();
  }

  // Let go of whatever is being dragged and put everything back where it was.
  cancel() {
    this.#pointers.clear();
    this.#gesture = null;
    this.#pick(false);
    this.#draw();
  }

  // A pin that was picked up goes where the next click or tap is.
  #pick(picked) {
    if (picked === this.#picked) return;
    this.#picked = picked;
    at("pin").classList.toggle("picked", picked);
    svg.classList.toggle("placing", picked);
    this.#tell("picked", { picked });
  }

  #path(shape) {
    const line = (points) => "M" + points.map((point) => this.xy({ lon: point[0], lat: point[1] }).map(tidy).join(" ")).join("L");
    const parts = { Polygon: 1, MultiLineString: 1, MultiPolygon: 2, LineString: 0 }[shape.type];
    const lines = parts === 0 ? [shape.coordinates] : shape.coordinates.flat(parts - 1);
    return lines.map((points) => line(points) + (shape.type.endsWith("Polygon") ? "Z" : "")).join("");
  }

  #pixel([x, y]) {
    const v = this.#view;
    return [(x - v.x) * v.scale + svg.clientWidth / 2, (y - v.y) * v.scale + svg.clientHeight / 2];
  }

  #metres(px, py) {
    const v = this.#view;
    return [(px - svg.clientWidth / 2) / v.scale + v.x, (py - svg.clientHeight / 2) / v.scale + v.y];
  }

  #draw() {
    const photo = this.#photo;
    at("pin").toggleAttribute("hidden", !photo);
    if (!photo) {
      at("others").setAttribute("d", dots([...this.#store.photos.values()].map((other) => this.xy(this.#store.position(other)))));
      return;
    }
    const moving = this.#gesture?.kind === "move" ? new Set(this.#scope) : new Set();
    const [dx, dy] = this.#gesture?.kind === "move" ? this.#gesture.by : [0, 0];
    const spot = (other) => {
      const [x, y] = this.xy(this.#store.position(other));
      return moving.has(other) ? [x + dx, y + dy] : [x, y];
    };
    const order = this.#store.byTime.map((id) => this.#store.photos.get(id));
    const walk = order.filter((other) => other.walk === photo.walk);
    const timed = walk.filter((other) => other.captured_at && this.#store.label(other).state !== "exclude");
    at("others").setAttribute("d", dots(order.filter((other) => other.walk !== photo.walk).map(spot)));
    at("walk").setAttribute("d", timed.length > 1 ? "M" + timed.map((other) => spot(other).map(tidy).join(" ")).join("L") : "");
    at("walk-dots").setAttribute("d", dots(walk.map(spot)));
    at("scope-dots").setAttribute("d", dots(this.#scope.map(spot)));
    const origin = this.xy(photo);
    circle("accuracy", origin, photo.accuracy_m);
    const model = photo.model && this.xy(photo.model);
    circle("model-50", model, photo.model?.radius_50_m);
    circle("model-90", model, photo.model?.radius_90_m);
    at("model-dot").setAttribute("d", model ? dots([model]) : "");
    const refined = photo.refined && this.xy(photo.refined);
    circle("refined-90", refined, photo.refined?.radius_90_m);
    at("refined-dot").setAttribute("d", refined ? dots([refined]) : "");
    const here = spot(photo);
    const away = Math.hypot(here[0] - origin[0], here[1] - origin[1]) > 0.05;
    at("moved").setAttribute("d", away ? `M${origin.map(tidy).join(" ")}L${here.map(tidy).join(" ")}` : "");
    at("origin").setAttribute("d", dots([origin]));
    const expected = this.#store.expected(photo);
    this.#expected = expected && this.xy(expected);
    at("expected").toggleAttribute("hidden", !expected);
    at("expected-line").setAttribute("d", expected ? `M${this.#expected.map(tidy).join(" ")}L${here.map(tidy).join(" ")}` : "");
    this.#spot = here;
    this.#place();
  }

  #spot = [0, 0];
  #expected = null;

  #place() {
    const v = this.#view;
    const [x, y] = [svg.clientWidth / 2 - v.x * v.scale, svg.clientHeight / 2 - v.y * v.scale];
    at("world").setAttribute("transform", `translate(${x} ${y}) scale(${v.scale})`);
    if (this.#expected) at("expected").setAttribute("transform", `translate(${this.#pixel(this.#expected).join(" ")})`);
    if (this.#photo) {
      const [px, py] = this.#pixel(this.#spot);
      const heading = this.#gesture?.kind === "turn" ? this.#gesture.heading : this.#store.heading(this.#photo);
      at("pin").setAttribute("transform", `translate(${px} ${py})`);
      for (const id of ["turner", "cone"]) at(id).setAttribute("transform", `rotate(${heading ?? 0})`);
      const state = this.#store.label(this.#photo).state;
      at("pin").classList.toggle("unset", heading === null);
      at("pin").classList.toggle("marked", state === "unsure" || state === "exclude");
      at("pin").classList.toggle("dragging", ["move", "turn"].includes(this.#gesture?.kind));
    }
    svg.classList.toggle("panning", this.#gesture?.kind === "pan");
    this.#drawGround();
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6];
    const metres = steps.find((step) => step * v.scale > 60) ?? 1e6;
    at("scale").style.width = `${metres * v.scale}px`;
    at("scale").firstElementChild.textContent = metres < 1000 ? `${metres} m` : `${metres / 1000} km`;
  }

  #where(event) {
    const box = svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    svg.focus({ preventScroll: true });
    const start = this.#where(event);
    this.#pointers.set(event.pointerId, start);
    if (this.#pointers.size === 2) {
      this.#gesture = { kind: "pinch" };
      this.#draw();
      return;
    }
    const target = event.target.id;
    const kind = this.placing ? "pan" : target === "pin-hit" ? "move" : target === "knob-hit" ? "turn" : "pan";
    const heading = this.#photo && this.#store.heading(this.#photo);
    this.#gesture = { kind, start, by: [0, 0], heading, view: { ...this.#view }, moved: false };
    this.#place();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || !this.#gesture) return;
    const now = this.#where(event);
    this.#pointers.set(event.pointerId, now);
    const gesture = this.#gesture;
    if (gesture.kind === "pinch") {
      const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (!other) return;
      const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
      this.zoom(distance(now, other) / Math.max(distance(before, other), 1), ...middle);
      return;
    }
    if (!gesture.moved && distance(now, gesture.start) < CLICK_PX) return;
    gesture.moved = true;
    const scale = this.#view.scale;
    if (gesture.kind === "pan") {
      this.#view.x = gesture.view.x - (now[0] - gesture.start[0]) / scale;
      this.#view.y = gesture.view.y - (now[1] - gesture.start[1]) / scale;
      this.#place();
    } else if (gesture.kind === "move") {
      gesture.by = [(now[0] - gesture.start[0]) / scale, (now[1] - gesture.start[1]) / scale];
      this.#draw();
    } else {
      const [x, y] = this.#pixel(this.#spot);
      gesture.heading = (Math.round((Math.atan2(now[0] - x, y - now[1]) * 180) / Math.PI) + 360) % 360;
      this.#place();
    }
  }

  #up(event) {
    const gesture = this.#gesture;
    if (!this.#pointers.delete(event.pointerId) || !gesture) return;
    if (gesture.kind === "pinch") {
      if (!this.#pointers.size) this.#gesture = null;
      return;
    }
    this.#gesture = null;
    if (gesture.moved && gesture.kind !== "pan") this.#pick(false);
    if (gesture.kind === "move" && gesture.moved) this.#tell("move", { east: gesture.by[0], north: -gesture.by[1] });
    else if (gesture.kind === "turn" && gesture.moved) this.#tell("turn", { heading: gesture.heading });
    else if (gesture.kind !== "turn" && !gesture.moved) this.#click(event, gesture.kind === "move");
    this.#draw();
  }

  // A click or tap goes, in this order: with the pin that is picked up, to a dot, to the pin, to the ground.
  #click(event, onPin) {
    const where = this.#where(event);
    const target = this.#metres(...where);
    if (this.placing) {
      const p = this.#projection;
      this.#tell("placed", this.shifted({ lon: p.lon, lat: p.lat }, target[0], -target[1]));
      return;
    }
    const fromPin = this.#photo ? distance(this.#pixel(this.#spot), where) : Infinity;
    if (this.#picked) {
      this.#pick(false);
      if (!onPin) this.#moveTo(target);
      return;
    }
    const nearest = this.#nearest(target);
    const away = nearest ? distance(this.#pixel(this.xy(this.#store.position(nearest))), where) : Infinity;
    if (nearest && (event.shiftKey || (away <= (REACH_PX[event.pointerType] ?? REACH_PX.mouse) && away < fromPin))) {
      this.#tell("choose", { id: nearest.id });
    } else if (!this.#photo) return;
    else if (onPin) this.#pick(true);
    else if (event.pointerType === "touch") this.#tell("missed", {});
    else this.#moveTo(target);
  }

  #nearest(spot) {
    const far = (photo) => distance(this.xy(this.#store.position(photo)), spot);
    return [...this.#store.photos.values()].reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
  }

  #moveTo([x, y]) {
    this.#tell("move", { east: x - this.#spot[0], north: this.#spot[1] - y });
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.zoom(Math.exp(-Math.max(-200, Math.min(200, pixels)) / 400), ...this.#where(event));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

// A line of no length with round ends is a dot of constant size at any zoom.
function dots(spots) {
  return spots.map((spot) => `M${spot.map(tidy).join(" ")}h0`).join("");
}

function tidy(metres) {
  return Math.round(metres * 1000) / 1000;
}

function circle(id, centre, radius) {
  const shown = Boolean(centre && radius);
  at(id).toggleAttribute("hidden", !shown);
  if (!shown) return;
  at(id).setAttribute("cx", centre[0]);
  at(id).setAttribute("cy", centre[1]);
  at(id).setAttribute("r", radius);
}

function distance(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

// Degrees of longitude the short way round: a site may lie across 180 degrees.
function around(degrees) {
  return Math.abs(degrees) <= 180 ? degrees : degrees - 360 * Math.round(degrees / 360);
}
