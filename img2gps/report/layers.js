// What a map is drawn of, each a function of the canvas context and the view. Positions are decimetres.

const DM = 10;

/** Return a path of flat rings [east, north, east, north, ...] on the screen. */
function ringPath(view, rings, close = true) {
  const path = new Path2D();
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      const x = view.x(ring[i] / DM);
      const y = view.y(ring[i + 1] / DM);
      if (i) path.lineTo(x, y);
      else path.moveTo(x, y);
    }
    if (close) path.closePath();
  }
  return path;
}

/**
 * The site's inside, the lower part of the basemap, what the caller draws clipped to the site, the upper part, paths,
 * buildings and the outline. What is not of the site is paler.
 */
function drawSite(context, view, site, ground, insideOfIt) {
  const outline = ringPath(view, site.outline.flat());
  context.fillStyle = colour("map-site");
  context.fill(outline, "evenodd");
  ground?.paint(context, view, 0);
  context.save();
  context.clip(outline, "evenodd");
  context.globalAlpha = ground ? 0.78 : 1;
  insideOfIt();
  context.restore();
  ground?.paint(context, view, 1);
  if (ground) {
    const around = new Path2D(outline);
    around.rect(0, 0, view.width, view.height);
    context.globalAlpha = 0.45;
    context.fillStyle = colour("map-ground");
    context.fill(around, "evenodd");
    context.globalAlpha = 1;
    ground.names(context, view);
  }
  context.lineWidth = 1.8;
  context.strokeStyle = colour("map-path");
  context.stroke(ringPath(view, site.paths, false));
  const buildings = ringPath(view, site.buildings.flat());
  context.fillStyle = colour("map-building");
  context.fill(buildings, "evenodd");
  context.strokeStyle = colour("map-building-edge");
  context.lineWidth = 1;
  context.stroke(buildings);
  context.strokeStyle = colour("map-outline");
  context.lineWidth = 2;
  context.stroke(outline);
}

/** Squares of `cells` (`east`, `north`: south-west corners) filled by `fill(index)`, null for none. */
function drawCells(context, view, cells, fill) {
  const side = (cells.size / DM) * view.scale;
  const gap = side > 8 ? 1 : 0;
  for (let i = 0; i < cells.east.length; i++) {
    const shade = fill(i);
    const x = view.x(cells.east[i] / DM);
    const y = view.y(cells.north[i] / DM) - side;
    if (shade === null || x > view.width || y > view.height || x + side < 0 || y + side < 0) continue;
    context.fillStyle = shade;
    context.fillRect(x, y, side - gap, side - gap);
  }
}

/** A ring around one photo. */
function drawRing(context, view, east, north) {
  for (const [width, shade] of [[5, "map-halo"], [2.5, "accent"]]) {
    context.beginPath();
    context.arc(view.x(east / DM), view.y(north / DM), 10, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = colour(shade);
    context.stroke();
  }
}

/** Arrows from (east, north) to (toEast, toNorth) for photo indices, batched by colour. */
function drawArrows(context, view, photos, indices, paint) {
  const batches = new Map();
  for (const i of indices) {
    const [x, y] = [view.x(photos.east[i] / DM), view.y(photos.north[i] / DM)];
    const [toX, toY] = [view.x(photos.toEast[i] / DM), view.y(photos.toNorth[i] / DM)];
    const length = Math.hypot(toX - x, toY - y);
    const shade = paint(i);
    if (!batches.has(shade)) batches.set(shade, new Path2D());
    const path = batches.get(shade);
    path.moveTo(x, y);
    path.lineTo(toX, toY);
    if (length < 7) continue;
    const head = Math.min(7, length / 2);
    const angle = Math.atan2(toY - y, toX - x);
    for (const turn of [-0.45, 0.45]) {
      path.moveTo(toX, toY);
      path.lineTo(toX - head * Math.cos(angle + turn), toY - head * Math.sin(angle + turn));
    }
  }
  context.lineWidth = 1.4;
  for (const [shade, path] of batches) {
    context.strokeStyle = shade;
    context.stroke(path);
  }
}

/** Numbered stops joined by a line, from near each with wedges the ways to look; `chosen` is highlighted. */
function drawStops(context, view, stops, chosen) {
  const points = stops.map((stop) => [view.x(stop.east / DM), view.y(stop.north / DM)]);
  for (const [width, shade] of [[5, "map-halo"], [2.5, "map-route"]]) {
    context.beginPath();
    points.forEach(([x, y], i) => {
      const way = stops[i].way ?? [];
      for (let k = 0; k < way.length; k += 2) context.lineTo(view.x(way[k] / DM), view.y(way[k + 1] / DM));
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.lineWidth = width;
    context.strokeStyle = colour(shade);
    context.stroke();
  }
  const near = view.scale > 2;
  const radius = near ? 10 : view.scale > 1.2 ? 8 : 4;
  context.font = `600 ${near ? 11 : 9}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  stops.forEach((stop, i) => {
    const [x, y] = points[i];
    context.fillStyle = colour(i === chosen ? "accent" : "map-route");
    context.strokeStyle = colour("map-halo");
    context.lineWidth = 1.5;
    if (near) for (const heading of stop.headings) wedge(context, x, y, radius, (heading * Math.PI) / 180);
    context.beginPath();
    context.arc(x, y, i === chosen ? radius + 2 : radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
    if (radius < 8) return;
    context.fillStyle = colour("map-route-text");
    context.fillText(String(i + 1), x, y + 0.5);
  });
}

function wedge(context, x, y, radius, angle) {
  const at = (turn, reach) => [x + Math.sin(angle + turn) * reach, y - Math.cos(angle + turn) * reach];
  context.beginPath();
  context.moveTo(...at(0, radius + 8));
  context.lineTo(...at(-0.5, radius));
  context.lineTo(...at(0.5, radius));
  context.closePath();
  context.fill();
}

/** A bar of a round number of metres at the bottom left, and the north arrow above it. */
function drawScaleAndNorth(context, view) {
  const most = 120 / view.scale;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].find((factor) => factor * power <= most) * power;
  const [x, y, length] = [14, view.height - 14, metres * view.scale];
  const label = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  for (const [width, shade] of [[5, "map-halo"], [2, "text"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour(shade);
    context.stroke(new Path2D(`M${x} ${y - 6}V${y}H${x + length}V${y - 6}`));
    if (shade === "map-halo") {
      context.strokeText(label, x + 5, y - 7);
      context.strokeText("N", x + 3, y - 62);
    }
  }
  context.fillStyle = colour("text");
  context.fillText(label, x + 5, y - 7);
  context.fillText("N", x + 3, y - 62);
  context.fill(new Path2D(`M${x + 7} ${y - 58}l6 24l-6 -5l-6 5z`));
}
