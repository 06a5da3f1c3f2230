// The map of a report: a view on a canvas, the layers a page draws on it, and the photo under a click.

const PICK_PX = 14;

class Atlas {
  /**
   * `draw(context, view)` paints between the ground and the scale bar; `clipped(context, view)` paints on the ground,
   * inside the outline; `onPick(indices)` runs with the photos under a click, nearest first; `onElse(x, y)` where
   * there are none.
   */
  constructor(canvas, { clipped, draw, onPick, onElse = () => {} }) {
    Object.assign(this, { canvas, clipped, draw, onPick, onElse });
    this.context = canvas.getContext("2d");
    this.shown = [];
    this.selected = null;
    const bounds = data.site.bounds.map((value) => value / DM);
    const { ground } = data.site;
    this.ground = ground ? new Ground(ground, { colour, onMore: () => this.redraw() }) : null;
    const credit = document.getElementById("credit");
    credit.textContent = ground?.credit ?? "";
    credit.hidden = !ground;
    this.view = new View(canvas, bounds, { onChange: () => this.redraw(), onTap: (x, y) => this.tap(x, y) });
    darkMode.addEventListener("change", () => {
      this.ground?.forget();
      this.redraw();
    });
    canvas.addEventListener("focus", () => this.redraw());
    canvas.addEventListener("blur", () => this.redraw());
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons === 0) canvas.classList.toggle("on-photo", this.near(event.offsetX, event.offsetY).length > 0);
    });
    for (const [id, act] of [["zoom-in", (v) => v.zoom(1.5)], ["zoom-out", (v) => v.zoom(1 / 1.5)], ["zoom-fit", (v) => v.fit()]]) {
      document.getElementById(id).addEventListener("click", () => act(this.view));
    }
  }

  /** Show these photos and no others. */
  show(indices) {
    this.shown = indices.filter((i) => data.photos.east[i] !== null);
    this.redraw();
  }

  /** Ring one photo and bring it into sight; null for none. */
  select(index) {
    this.selected = index !== null && data.photos.east[index] !== null ? index : null;
    if (this.selected !== null) {
      const [east, north] = [data.photos.east[index] / DM, data.photos.north[index] / DM];
      const [x, y] = [this.view.x(east), this.view.y(north)];
      const hidden = x < 20 || y < 20 || x > this.view.width - 20 || y > this.view.height - 20;
      if (hidden) return this.view.focus(east, north);
    }
    return this.redraw();
  }

  /** Draw in the next frame, however often it is asked for. */
  redraw() {
    if (this.waiting || !this.view?.width) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  paint() {
    const { context, view } = this;
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    context.fillStyle = colour("map-ground");
    context.fillRect(0, 0, view.width, view.height);
    context.lineJoin = context.lineCap = "round";
    this.ground?.prepare(view);
    drawSite(context, view, data.site, this.ground, () => this.clipped(context, view));
    this.draw(context, view);
    if (this.selected !== null) {
      drawRing(context, view, data.photos.east[this.selected], data.photos.north[this.selected]);
    }
    drawScaleAndNorth(context, view);
    if (this.canvas.matches(":focus-visible")) this.cross();
    // where the view stands, for whoever reads the page with a program
    Object.assign(this.canvas.dataset, { east: view.east, north: view.north, pxPerM: view.scale });
  }

  /** The place that Enter opens, while the keyboard moves the map. */
  cross() {
    const [x, y] = [this.view.width / 2, this.view.height / 2];
    this.context.strokeStyle = colour("accent");
    this.context.lineWidth = 1.5;
    this.context.stroke(new Path2D(`M${x - 9} ${y}H${x + 9}M${x} ${y - 9}V${y + 9}`));
  }

  near(x, y) {
    const { view } = this;
    const found = [];
    for (const i of this.shown) {
      const distance = Math.hypot(view.x(data.photos.east[i] / DM) - x, view.y(data.photos.north[i] / DM) - y);
      if (distance <= PICK_PX) found.push([distance, i]);
    }
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, i]) => i);
  }

  tap(x, y) {
    const found = this.near(x, y);
    if (found.length) this.onPick(found);
    else this.onElse(x, y);
  }
}
