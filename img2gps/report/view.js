// The part of the plane that a canvas shows, and every way of moving it: mouse, touch, wheel and keyboard.

const MOST_PX_PER_M = 60;
const TAP_PX = 6;

class View {
  /**
   * `bounds` is [west, south, east, north] in metres. `onChange()` runs when the view moved, `onTap(x, y)` for a
   * click, a tap, or Enter (at the middle).
   */
  constructor(canvas, bounds, { onChange, onTap }) {
    this.canvas = canvas;
    this.bounds = bounds;
    this.onChange = onChange;
    this.onTap = onTap;
    this.width = this.height = 0;
    this.pointers = new Map();
    this.moved = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
    // a long, flat site gets a flatter map
    const [west, south, east, north] = bounds;
    const height = (canvas.clientWidth * (north - south)) / Math.max(east - west, 1);
    const least = Math.min(460, canvas.clientWidth * 0.8);
    canvas.style.height = `${Math.round(Math.min(Math.max(height * 1.15, least), 680))}px`;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || (clientWidth === this.width && clientHeight === this.height)) return;
    const first = this.width === 0;
    this.width = clientWidth;
    this.height = clientHeight;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.ratio = ratio;
    if (first) this.fit();
    else this.onChange();
  }

  /** Show all of the bounds. */
  fit() {
    const [west, south, east, north] = this.bounds;
    const room = 0.92;
    this.fitScale = Math.min((this.width * room) / Math.max(east - west, 1), (this.height * room) / Math.max(north - south, 1));
    this.scale = this.fitScale;
    this.east = (west + east) / 2;
    this.north = (south + north) / 2;
    this.onChange();
  }

  /** Put a place in the middle, at least at `scale` pixels per metre. */
  focus(east, north, scale = 0) {
    this.east = east;
    this.north = north;
    this.scale = Math.max(this.scale, Math.min(scale, MOST_PX_PER_M));
    this.onChange();
  }

  x(east) {
    return this.width / 2 + (east - this.east) * this.scale;
  }

  y(north) {
    return this.height / 2 - (north - this.north) * this.scale;
  }

  place(x, y) {
    return [this.east + (x - this.width / 2) / this.scale, this.north - (y - this.height / 2) / this.scale];
  }

  pan(dx, dy) {
    const [west, south, east, north] = this.bounds;
    this.east = Math.min(Math.max(this.east - dx / this.scale, west), east);
    this.north = Math.min(Math.max(this.north + dy / this.scale, south), north);
    this.onChange();
  }

  /** Zoom by a factor; the place under (x, y) stays there. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const [east, north] = this.place(x, y);
    this.scale = Math.min(Math.max(this.scale * factor, this.fitScale / 3), Math.max(MOST_PX_PER_M, this.fitScale));
    const [nowEast, nowNorth] = this.place(x, y);
    this.east += east - nowEast;
    this.north += north - nowNorth;
    this.pan(0, 0);
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    if (this.pointers.size === 0) this.moved = 0;
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.offsetX, event.offsetY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    this.moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (!other && this.moved <= TAP_PX) return;
    if (other) {
      this.moved = TAP_PX + 1;
      const spread = (a) => Math.max(Math.hypot(a[0] - other[0], a[1] - other[1]), 1);
      this.zoom(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    const share = other ? 0.5 : 1;
    this.pan((now[0] - before[0]) * share, (now[1] - before[1]) * share);
  }

  release(event) {
    const known = this.pointers.delete(event.pointerId);
    if (known && this.pointers.size === 0 && this.moved <= TAP_PX) this.onTap(event.offsetX, event.offsetY);
  }

  wheel(event) {
    // a page that scrolls past a map must not be caught by it: the wheel zooms once the map is in use
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    this.zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) / 300), event.offsetX, event.offsetY);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.min(this.width, this.height) / 6;
    const moves = {
      ArrowLeft: () => this.pan(step, 0),
      ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      _: () => this.zoom(1 / 1.4),
      0: () => this.fit(),
      Home: () => this.fit(),
      Enter: () => this.onTap(this.width / 2, this.height / 2),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  }
}
