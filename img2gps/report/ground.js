// The basemap under a map. Its shapes are drawn once per zoom into tiles, a few shapes in each frame; moving the map
// moves pictures. So 20,000 shapes stay at the speed of the screen where no graphics processor helps.

const TILE_PX = 256; // of the screen, not of the page: a phone draws nine times as many for the same view
// The time that drawing may take of a frame, while the map moves and while it stands still.
const MOVING_MS = 4;
const STILL_MS = 24;
const SLICE = 100; // shapes drawn before the clock is looked at
const THIN_PX = 2.5; // below, round corners of a line cost time and are not seen
const SETTLED_MS = 140;
const MOST_TILES = 240;
const OVERVIEW_PX = 900;
const MOST_NAMES = 40;
// What lies under the cells of a report, and what stands above them.
const STORIES = [["green", "water", "road"], ["path", "wall", "building", "tree", "door"]];

/** How a class is drawn: the custom properties of its colours, and the width of its lines in pixels by the scale. */
const GROUND_STYLES = {
  green: { fill: "map-green" },
  water: { fill: "map-water", line: "map-water", width: (scale) => Math.min(Math.max(2 * scale, 1), 12) },
  road: { fill: "map-road", line: "map-road", width: (scale) => Math.min(Math.max(7 * scale, 1.6), 90) },
  path: { fill: "map-path-area", line: "map-path", width: (scale) => Math.min(Math.max(2.2 * scale, 1), 26) },
  wall: { fill: "map-wall", line: "map-wall", width: (scale) => Math.min(Math.max(0.4 * scale, 0.8), 5) },
  building: { fill: "map-building", edge: "map-building-edge" },
  tree: { line: "map-tree", width: (scale) => Math.min(Math.max(2 * scale, 1), 16), spot: (scale) => Math.min(Math.max(2.2 * scale, 0.8), 40) },
  door: { spot: (scale) => (scale < 1.5 ? 0 : Math.min(1.2 + 0.4 * scale, 5)), solid: "map-door" },
};

/** One drawing of the ground at one scale: pictures by their place. */
class GroundLevel {
  constructor(scale, ratio) {
    Object.assign(this, { scale, ratio, side: TILE_PX / ratio, tiles: new Map(), begun: null, missing: 1 });
  }
}

class Ground {
  /** `columns` are those of `ground_columns`; `colour(name)` is a custom property's value; `onMore()` asks for a frame. */
  constructor(columns, { colour, onMore }) {
    Object.assign(this, { columns, colour, onMore });
    this.stories = STORIES.map((kinds) => columns.layers.filter(({ kind }) => kinds.includes(kind)).map(decodeLayer));
    this.bounds = boundsOf(this.stories.flat());
    this.scratch = document.createElement("canvas").getContext("2d");
    this.widths = new Map();
    this.forget();
  }

  /** Draw everything anew: the colours have changed. */
  forget() {
    this.level = this.before = this.overview = null;
    this.changedAt = -Infinity;
  }

  /** Get the pictures ready that `view` shows, as many as a frame has time for. */
  prepare(view) {
    const now = performance.now();
    if (this.level?.ratio !== view.ratio) this.forget();
    this.overview ??= new GroundLevel(this.overviewScale(), 1);
    if (view.scale !== this.wanted) {
      this.wanted = view.scale;
      this.changedAt = this.level ? now : -Infinity;
    }
    const settled = now - this.changedAt >= SETTLED_MS;
    if (this.level?.scale !== view.scale && settled) {
      if (this.level && !this.level.missing) this.before = this.level;
      this.level = new GroundLevel(view.scale, view.ratio);
    }
    const seen = [view.east, view.north, view.scale, view.width, view.height].join(" ");
    const until = now + (seen === this.seen ? STILL_MS : MOVING_MS);
    this.seen = seen;
    const whole = { width: view.width, height: view.height, span: this.bounds };
    let open = this.fill(this.overview, whole, until);
    if (settled) {
      this.level.missing = this.fill(this.level, { ...view, span: spanOf(view, 0) }, until);
      open += this.level.missing || this.fill(this.level, { ...view, span: spanOf(view, this.level.side / 2) }, until);
    } else open = 1;
    if (open) this.onMore();
  }

  /** Paint one story of what is ready: the coarse below the sharp. */
  paint(context, view, story) {
    // pictures of another zoom stand for a moment only: to smooth them takes longer than a frame where no processor helps
    context.imageSmoothingEnabled = this.level?.scale === view.scale;
    for (const level of this.shown(view)) {
      const grown = view.scale / level.scale;
      const side = level.side * grown;
      const [left, top] = [onPixel(view.x(0), view.ratio), onPixel(view.y(0), view.ratio)];
      for (const tile of level.tiles.values()) {
        const [x, y] = [left + tile.column * side, top + tile.row * side];
        if (!tile.pictures[story] || x > view.width || y > view.height || x + side < 0 || y + side < 0) continue;
        context.drawImage(tile.pictures[story], x, y, side, side);
      }
    }
  }

  /** The drawings that fill the view, the coarse first: as few as do, for each costs its pixels in every frame. */
  shown(view) {
    const whole = (level) => level && !level.missing;
    if (whole(this.level) && view.scale >= this.level.scale) return [this.level];
    if (whole(this.level)) return [this.overview, this.level];
    const near = whole(this.before) && view.scale >= this.before.scale && this.level?.tiles.size === 0;
    return [near ? null : this.overview, this.before, this.level].filter(Boolean);
  }

  /** Write the names that have room, buildings before others, the large before the small. */
  names(context, view) {
    const taken = [];
    const moving = this.level?.scale !== view.scale; // halos cost most, and nobody reads while a map zooms
    context.font = "600 11.5px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3;
    for (const name of this.columns.names) {
      if (taken.length >= MOST_NAMES) break;
      const [x, y] = [view.x(name.east / 10), view.y(name.north / 10)];
      if (x < -60 || y < -12 || x > view.width + 60 || y > view.height + 12) continue;
      if (!this.widths.has(name.text)) this.widths.set(name.text, context.measureText(name.text).width);
      const half = this.widths.get(name.text) / 2 + 3;
      if ((name.size / 10) * view.scale < Math.min(half * 1.1, 46)) continue;
      if (taken.some(([otherX, otherY, otherHalf]) => Math.abs(otherX - x) < half + otherHalf && Math.abs(otherY - y) < 15)) continue;
      taken.push([x, y, half]);
      context.strokeStyle = this.colour("map-halo");
      context.fillStyle = this.colour(name.kind === "building" ? "map-name" : "map-name-soft");
      if (!moving) context.strokeText(name.text, x, y);
      context.fillText(name.text, x, y);
    }
  }

  overviewScale() {
    const [west, south, east, north] = this.bounds;
    return OVERVIEW_PX / Math.max(east - west, north - south, 1);
  }

  /** Draw missing tiles of a level that touch `area.span` until the time is over; return how many are left. */
  fill(level, area, until) {
    const wanted = this.missing(level, area);
    let done = 0;
    while (done < wanted.length) {
      const [column, row] = wanted[done];
      const slice = this.tile(level, column, row).next();
      if (slice.done) {
        level.begun = null;
        level.tiles.set(`${column} ${row}`, slice.value);
        if (level.tiles.size > MOST_TILES) level.tiles.delete(level.tiles.keys().next().value);
        done++;
      }
      // looked at after the first slice, or a slow machine would never come to an end
      if (performance.now() >= until) break;
    }
    return wanted.length - done;
  }

  /** Places of tiles that a level lacks: one that is begun, then the nearest to the middle of the area. */
  missing(level, area) {
    const metres = level.side / level.scale;
    const [west, south, east, north] = overlap(area.span, this.bounds);
    const wanted = [];
    for (let row = Math.floor(-north / metres); row * metres < -south; row++) {
      for (let column = Math.floor(west / metres); column * metres < east; column++) {
        if (!level.tiles.has(`${column} ${row}`)) wanted.push([column, row]);
      }
    }
    const [middleX, middleY] = [(west + east) / 2 / metres - 0.5, -(south + north) / 2 / metres - 0.5];
    const far = ([column, row]) => (isBegun(level, column, row) ? -1 : Math.hypot(column - middleX, row - middleY));
    return wanted.sort((a, b) => far(a) - far(b));
  }

  /** The drawing of a tile, from where the last frame left it. */
  tile(level, column, row) {
    if (!isBegun(level, column, row)) level.begun = { column, row, slices: this.slices(level, column, row) };
    return level.begun.slices;
  }

  /** Draw a tile, some shapes at each step. */
  *slices(level, column, row) {
    const metres = level.side / level.scale;
    const box = [column * metres, -(row + 1) * metres, (column + 1) * metres, -row * metres];
    const pictures = [];
    for (const layers of this.stories) pictures.push(yield* this.picture(layers, level, box));
    return { column, row, pictures };
  }

  *picture(layers, level, box) {
    const margin = 24 / level.scale + 4;
    const near = [box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin];
    let context = null;
    for (const layer of layers) {
      const shapes = layer.shapes.filter(({ bounds }) => touches(bounds, near) && size(bounds) * level.scale > 0.6);
      const spots = layer.spots.filter(([east, north]) => east > near[0] && east < near[2] && north > near[1] && north < near[3]);
      const x = (east) => (east - box[0]) * level.scale;
      const y = (north) => (box[3] - north) * level.scale;
      for (let i = 0; i < Math.max(shapes.length, spots.length); i += SLICE) {
        context ??= blank(level.ratio);
        this.layer(context, layer.kind, shapes.slice(i, i + SLICE), spots.slice(i, i + SLICE), x, y, level);
        this.scratch.drawImage(context.canvas, 0, 0, 1, 1, 0, 0, 1, 1); // drawn now, not when all are first shown
        yield;
      }
    }
    return context?.canvas ?? null;
  }

  layer(context, kind, shapes, spots, x, y, { scale, ratio }) {
    const style = GROUND_STYLES[kind];
    const [areas, lines, dots] = [new Path2D(), new Path2D(), new Path2D()];
    for (const { rings, closed } of shapes) for (const ring of rings) trace(closed ? areas : lines, ring, closed, x, y);
    if (style.fill) {
      context.fillStyle = this.colour(style.fill);
      context.fill(areas);
    }
    const stroke = (path, width, colour) => {
      const thin = width * ratio < THIN_PX;
      Object.assign(context, { lineWidth: width, lineJoin: thin ? "bevel" : "round", lineCap: thin ? "butt" : "round" });
      context.strokeStyle = this.colour(colour);
      context.stroke(path);
    };
    if (style.edge && scale > 0.25) stroke(areas, Math.min(1, 0.4 + scale / 3), style.edge);
    if (style.line) stroke(lines, style.width(scale), style.line);
    const radius = style.spot?.(scale);
    if (!radius) return;
    for (const [east, north] of spots) {
      dots.moveTo(x(east) + radius, y(north));
      dots.arc(x(east), y(north), radius, 0, 2 * Math.PI);
    }
    context.fillStyle = this.colour(style.solid ?? style.line);
    context.fill(dots);
  }
}

/** Return a layer with its shapes in metres: rings and lines as [east, north, ...] with their bounds. */
function decodeLayer({ kind, areas, lines, spots }) {
  const shape = (rings, closed) => ({ rings, closed, bounds: boundsOfRings(rings) });
  const shapes = [
    ...areas.map((rings) => shape(rings.map(decode), true)),
    ...lines.map((line) => shape([decode(line)], false)),
  ];
  const places = [];
  for (let i = 0; i < spots.length; i += 2) places.push([spots[i] / 10, spots[i + 1] / 10]);
  return { kind, shapes, spots: places };
}

/** Steps in decimetres to places in metres. */
function decode(steps) {
  const found = new Float32Array(steps.length);
  let [east, north] = [0, 0];
  for (let i = 0; i < steps.length; i += 2) {
    east += steps[i];
    north += steps[i + 1];
    found[i] = east / 10;
    found[i + 1] = north / 10;
  }
  return found;
}

/** Add a ring or a line to a path, without points that lie on the one before. */
function trace(path, ring, closed, x, y) {
  let [lastX, lastY] = [x(ring[0]), y(ring[1])];
  path.moveTo(lastX, lastY);
  for (let i = 2; i < ring.length; i += 2) {
    const [nextX, nextY] = [x(ring[i]), y(ring[i + 1])];
    if (Math.abs(nextX - lastX) + Math.abs(nextY - lastY) < 0.6 && i + 2 < ring.length) continue;
    path.lineTo(nextX, nextY);
    [lastX, lastY] = [nextX, nextY];
  }
  if (closed) path.closePath();
}

function isBegun({ begun }, column, row) {
  return begun?.column === column && begun.row === row;
}

function blank(ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE_PX;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** The part of the plane that a view shows and `more` pixels around it: [west, south, east, north] in metres. */
function spanOf(view, more) {
  const [east, north] = [(view.width / 2 + more) / view.scale, (view.height / 2 + more) / view.scale];
  return [view.east - east, view.north - north, view.east + east, view.north + north];
}

function onPixel(value, ratio) {
  return Math.round(value * ratio) / ratio;
}

function overlap(a, b) {
  return [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
}

function touches(a, b) {
  return a[0] < b[2] && a[2] > b[0] && a[1] < b[3] && a[3] > b[1];
}

function size(bounds) {
  return Math.max(bounds[2] - bounds[0], bounds[3] - bounds[1]);
}

function boundsOfRings(rings) {
  const found = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      found[0] = Math.min(found[0], ring[i]);
      found[1] = Math.min(found[1], ring[i + 1]);
      found[2] = Math.max(found[2], ring[i]);
      found[3] = Math.max(found[3], ring[i + 1]);
    }
  }
  return found;
}

function boundsOf(layers) {
  const all = layers.flatMap(({ shapes, spots }) => [...shapes.map(({ bounds }) => bounds), ...spots.map(([e, n]) => [e, n, e, n])]);
  const found = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [west, south, east, north] of all) {
    found[0] = Math.min(found[0], west - 2);
    found[1] = Math.min(found[1], south - 2);
    found[2] = Math.max(found[2], east + 2);
    found[3] = Math.max(found[3], north + 2);
  }
  return found;
}
