// One photo's thumbnail and facts, and the list of photos that a keyboard or a thumb can walk through.

const LIST_STEP = 48;

/** Return the picture of a photo, or null where the page holds none. */
function thumbnail(index, alt) {
  const code = data.thumbnails[index];
  return code ? element("img", { src: `data:image/jpeg;base64,${code}`, alt, loading: "lazy", decoding: "async" }) : null;
}

const writers = {
  text: (value) => value,
  word: (value, fact) => fact.words[value],
  exact: (value) => `${value.toFixed(1)} m`,
  // positions and radii are whole decimetres
  metres: (value) => `${(value / DM).toFixed(1)} m`,
  degrees: (value) => `${value}°`,
  // minutes of the photo's own local time since 1970: read back as if it were UTC, so that the viewer's zone plays no part
  minute: (value) => new Date(value * 60000).toISOString().slice(0, 16).replace("T", " "),
  bits: (value, fact) => fact.words.filter((_, bit) => value & (1 << bit)).join(", ") || "none",
};

/** Return a fact of a photo as text; "unknown" where it is not recorded. */
function factText(fact, index) {
  const value = data.photos[fact.key][index];
  return value === null || value === "" ? "unknown" : writers[fact.kind](value, fact);
}

class Panel {
  /** `onShow(index)` runs with the photo shown, or with null when the panel closes. */
  constructor(root, onShow) {
    this.root = root;
    this.onShow = onShow;
    this.stack = [];
    this.title = element("h3", { id: "panel-title", tabindex: "-1" });
    this.body = element("div", { class: "panel-body" });
    this.back = element("button", { type: "button", text: "‹ Previous", on: { click: () => this.step(-1) } });
    this.next = element("button", { type: "button", text: "Next ›", on: { click: () => this.step(1) } });
    this.place = element("span", { class: "muted" });
    const close = element("button", { type: "button", class: "close", "aria-label": "Close (Esc)", text: "×", on: { click: () => this.close() } });
    root.append(
      element("header", {}, this.title, close),
      this.body,
      element("footer", {}, this.back, this.place, this.next),
    );
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show the photo at `at` of the photo indices in `stack`. */
  open(stack, at = 0) {
    if (this.root.hidden) this.opener = document.activeElement;
    this.stack = stack;
    this.root.hidden = false;
    this.show(at);
    this.title.focus({ preventScroll: true });
  }

  show(at) {
    this.at = at;
    const index = this.stack[at];
    this.root.dataset.id = data.photos.id[index];
    this.title.textContent = data.photos.name[index];
    const facts = element("dl", {});
    for (const fact of data.facts) {
      facts.append(element("dt", { text: fact.label }), element("dd", { text: factText(fact, index) }));
    }
    const picture = thumbnail(index, `Photo ${data.photos.name[index]}`);
    const note = element("p", { class: "muted no-picture", text: "No thumbnail in this report." });
    this.body.replaceChildren(picture ?? note, facts);
    if (data.photos.east[index] === null) {
      this.body.append(element("p", { class: "muted", text: "Counted, but its position is not shown: it lies outside the outline, or where no cell is." }));
    }
    const several = this.stack.length > 1;
    this.back.hidden = this.next.hidden = !several;
    this.place.textContent = several ? `${at + 1} of ${this.stack.length.toLocaleString("en")}` : "";
    this.onShow(index);
  }

  step(by) {
    if (this.stack.length > 1) this.show((this.at + by + this.stack.length) % this.stack.length);
  }

  close() {
    if (this.root.hidden) return;
    this.root.hidden = true;
    this.onShow(null);
    if (this.opener?.isConnected) this.opener.focus({ preventScroll: true });
  }

  key(event) {
    if (this.root.hidden) return;
    if (event.key === "Escape") this.close();
    else if (!this.root.contains(event.target)) return;
    else if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "ArrowRight") this.step(1);
    else return;
    event.preventDefault();
  }
}

class PhotoList {
  /** `label(index)` is the line below a photo's picture; `onPick(indices, at)` runs when one is chosen. */
  constructor(root, { label, onPick }) {
    this.label = label;
    this.onPick = onPick;
    this.list = element("ol", { class: "photo-list" });
    this.more = element("button", { type: "button", class: "more", on: { click: () => this.grow() } });
    root.append(this.list, this.more);
  }

  /** Show these photos, the first few of them at once. */
  fill(indices) {
    this.indices = indices;
    this.list.replaceChildren();
    this.grow();
  }

  grow() {
    const start = this.list.children.length;
    const end = Math.min(start + LIST_STEP, this.indices.length);
    for (let at = start; at < end; at++) this.list.append(this.item(at));
    const left = this.indices.length - end;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(left, LIST_STEP)} more of ${left.toLocaleString("en")}`;
    if (start > 0 && end > start) this.list.children[start].firstChild.focus();
  }

  item(at) {
    const index = this.indices[at];
    const pick = { click: () => this.onPick(this.indices, at) };
    const button = element("button", { type: "button", title: data.photos.name[index], on: pick });
    button.dataset.id = data.photos.id[index];
    button.append(thumbnail(index, "") ?? element("span", { class: "no-picture", text: "no picture" }));
    button.append(element("span", { class: "caption", text: this.label(index) }));
    return element("li", {}, button);
  }
}

/** On a narrow screen the filters start folded. */
function narrowStart() {
  if (matchMedia("(max-width: 860px)").matches) document.getElementById("filters-box").open = false;
}
