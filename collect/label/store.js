// The photos, their labels, and the queue of what is not saved yet: the page's only connection to the server.

const RETRY_MS = 1500;
const UNDO_KEY = "img2gps-undo";

export class Store extends EventTarget {
  photos = new Map();
  suspicions = new Map();
  #jobs = [];
  #sending = false;
  #failing = false;
  #undo = JSON.parse(sessionStorage.getItem(UNDO_KEY) ?? "[]");

  // Everything the map draws; the order is that of time until the queue is there.
  async loadDataset() {
    const dataset = await read("/api/dataset");
    this.dataset = dataset;
    for (const photo of dataset.photos) this.photos.set(photo.id, { ...photo, draft: null });
    this.byTime = dataset.photos.map((photo) => photo.id).sort((a, b) => compare(this.#timeKey(a), this.#timeKey(b)));
    this.byQueue = this.byTime;
  }

  async loadQueue() {
    const queue = await read("/api/queue");
    for (const suspicion of queue) this.suspicions.set(suspicion.photo_id, suspicion);
    const listed = queue.map((suspicion) => suspicion.photo_id);
    this.byQueue = [...listed, ...this.byTime.filter((id) => !this.suspicions.has(id))];
  }

  // How far the server is with what is waited for; null where it does not answer.
  progress() {
    return read("/api/progress").catch(() => null);
  }

  // Where a position is in words, and the nearest open ground where it is on none; null where nobody answers.
  place({ lon, lat }) {
    return read(`/api/place?lon=${lon}&lat=${lat}`).catch(() => null);
  }

  // Photos that ingest refused for want of a position.
  unplaced() {
    return read("/api/unplaced").catch(() => []);
  }

  // Take one of them in at a position; the sentence of what is wrong, "" where nothing is.
  async takeIn(sha256, { lon, lat }) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ sha256, lon, lat });
    const response = await fetch("/api/placed", { method: "POST", headers, body }).catch(() => null);
    if (!response) return "Not saved: the server does not answer.";
    return response.ok ? "" : (await response.json().catch(() => ({}))).error ?? `The server failed (${response.status}).`;
  }

  // Where the rest of the walk places a photo, null where it cannot say.
  expected(photo) {
    const found = this.suspicions.get(photo.id);
    return found?.expected_lon == null ? null : { lon: found.expected_lon, lat: found.expected_lat };
  }

  label(photo) {
    return photo.draft ?? photo.label;
  }

  position(photo) {
    const label = this.label(photo);
    return label.lon === null ? { lon: photo.lon, lat: photo.lat } : { lon: label.lon, lat: label.lat };
  }

  heading(photo) {
    return this.label(photo).heading_deg ?? photo.heading_deg;
  }

  // The photos that a move of `photo` carries along, itself first.
  scope(photo, kind) {
    const same = kind === "photo" ? [] : this.byTime.map((id) => this.photos.get(id));
    const key = kind === "burst" ? "burst" : "walk";
    return [photo, ...same.filter((other) => other !== photo && other[key] !== null && other[key] === photo[key])];
  }

  // Whether the server has not taken what is waiting: a reload now would lose it.
  get stuck() {
    return this.#failing && this.#jobs.length > 0;
  }

  // Show the changes at once and send them; `changes` hold photo, kind and what the kind needs.
  save(changes, why) {
    const sent = changes.map(({ photo, ...change }) => ({ photo_id: photo.id, version: photo.label.version, ...change }));
    for (const change of changes) change.photo.draft = after(this.label(change.photo), change);
    const last = this.#jobs.at(-1);
    if (last && !last.started && joins(last.body, sent)) {
      last.body.changes = sent.map((change, index) => ({ ...change, version: last.body.changes[index].version }));
    } else {
      const batch = name();
      this.#remember([...this.#undo, batch]);
      this.#jobs.push({ body: { changes: sent, why, batch }, started: false });
    }
    this.#changed();
    if (!this.#failing) this.#report("", "Saving …");
    this.#send();
  }

  // Take back the last of what this tab did; what others did is theirs to undo.
  undo() {
    const batch = this.#undo.at(-1);
    if (!batch) {
      this.dispatchEvent(new CustomEvent("refused", { detail: "There is nothing to undo: this tab has changed nothing." }));
      return;
    }
    this.#remember(this.#undo.slice(0, -1));
    this.#jobs.push({ body: { undo: batch, batch: name() }, started: false });
    this.#changed();
    if (!this.#failing) this.#report("", "Saving …");
    this.#send();
  }

  // Take over what other tabs and people did; never while something of our own is under way.
  async refresh() {
    if (this.#jobs.length) return;
    const labels = await read("/api/labels").catch(() => null);
    if (!labels || this.#jobs.length) return;
    for (const [id, label] of Object.entries(labels)) this.#accept(id, label);
    this.#changed();
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#jobs.length) {
      const job = this.#jobs[0];
      job.started = true;
      const answer = await post(job.body);
      this.#failing = Boolean(answer.again);
      if (answer.again) {
        this.#report("bad", answer.error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      this.#jobs.shift();
      this.#settle(job, answer);
    }
    this.#sending = false;
  }

  #settle(job, answer) {
    const ids = Object.keys(answer.labels ?? {});
    // a move by nothing is no line, so there is nothing of it to undo
    if (!ids.length) this.#remember(this.#undo.filter((batch) => batch !== job.body.batch));
    if (answer.error) {
      const touched = new Set([...ids, ...(job.body.changes ?? []).map((change) => change.photo_id)]);
      const dropped = this.#jobs.filter((other) => other.body.changes?.some((change) => touched.has(change.photo_id)));
      this.#jobs = this.#jobs.filter((other) => !dropped.includes(other));
      const gone = new Set([job, ...dropped].map((other) => other.body.batch));
      this.#remember(this.#undo.filter((batch) => !gone.has(batch)));
      for (const id of touched) this.photos.get(id).draft = null;
    }
    for (const id of ids) this.#accept(id, answer.labels[id]);
    for (const { photo_id: id } of job.body.changes ?? []) {
      if (!this.#pending(id)) this.photos.get(id).draft = null;
    }
    if (answer.error) this.#report("bad", "undo" in job.body ? "Not undone" : "Not saved");
    else if (!this.#jobs.length) this.#report("good", "Saved");
    if (answer.error) this.dispatchEvent(new CustomEvent("refused", { detail: answer.error }));
    else if ("undo" in job.body) this.dispatchEvent(new CustomEvent("undone", { detail: ids }));
    this.#changed();
  }

  // A newer label of a photo: what still waits to be sent was made by somebody who saw our own last one.
  #accept(id, label) {
    const photo = this.photos.get(id);
    if (!photo) return;
    for (const job of this.#jobs) {
      for (const change of job.body.changes ?? []) {
        if (change.photo_id === id && change.version === photo.label.version) change.version = label.version;
      }
    }
    photo.label = label;
    if (!this.#pending(id)) photo.draft = null;
  }

  #pending(id) {
    return this.#jobs.some((job) => job.body.changes?.some((change) => change.photo_id === id));
  }

  #remember(batches) {
    this.#undo = batches.slice(-500);
    sessionStorage.setItem(UNDO_KEY, JSON.stringify(this.#undo));
  }

  #report(kind, text) {
    this.dispatchEvent(new CustomEvent("saved", { detail: { kind, text } }));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #timeKey(id) {
    const photo = this.photos.get(id);
    return [photo.walk, photo.captured_at ?? "", photo.name, id];
  }
}

function after(label, change) {
  const placed = label.lon !== null || label.heading_deg !== null;
  switch (change.kind) {
    case "reset": return { ...label, state: "", lon: null, lat: null, heading_deg: null };
    case "unmark": return { ...label, state: placed ? "move" : "" };
    case "turn": return { ...label, state: label.state === "exclude" ? "exclude" : "move", heading_deg: change.heading_deg };
    case "move": return { ...label, state: label.state === "exclude" ? "exclude" : "move", lon: change.lon, lat: change.lat };
    default: return { ...label, state: change.kind };
  }
}

// Whether a move can stand for the one before it that has not left yet: the same photos, only farther.
function joins(body, changes) {
  return body.changes?.length === changes.length && changes.every((change, index) => {
    const earlier = body.changes[index];
    return earlier.photo_id === change.photo_id && earlier.kind === change.kind && ["move", "turn"].includes(change.kind);
  });
}

function name() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function compare(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

async function read(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json()).error);
  return response.json();
}

async function post(body) {
  const text = JSON.stringify(body);
  const headers = { "Content-Type": "application/json" };
  let response;
  try {
    // keepalive: a reload right after a click does not lose it (browsers allow it up to 64 KiB)
    response = await fetch("/api/corrections", { method: "POST", headers, body: text, keepalive: text.length < 60000 });
  } catch {
    return { again: true, error: "Not saved: the server does not answer" };
  }
  const answer = await response.json().catch(() => ({ error: `The server failed (${response.status}).` }));
  return response.status === 423 ? { again: true, error: "Waiting: the dataset is being written" } : answer;
}
