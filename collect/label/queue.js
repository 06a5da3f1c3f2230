// The queue in words: how probable a wrong label is, what is found and left, and where looking stops being worth it.

const SHOWN = 300;
const at = (id) => document.getElementById(id);

export class QueueView extends EventTarget {
  ready = false;
  #store;
  #map;

  constructor(store, map) {
    super();
    this.#store = store;
    this.#map = map;
    at("queue-close").addEventListener("click", () => at("queue").close());
    at("queue-list").addEventListener("click", (event) => {
      const id = event.target.closest("button")?.dataset.id;
      if (!id) return;
      at("queue").close();
      this.dispatchEvent(new CustomEvent("choose", { detail: { id } }));
    });
  }

  // The queue has arrived.
  load() {
    this.ready = true;
    at("queue-open").disabled = false;
  }

  // What is known of the photo on show, and where the whole stands.
  show(photo) {
    const found = this.#store.suspicions.get(photo.id);
    const open = Boolean(found) && this.#store.label(photo).state === "";
    at("probability").hidden = !open;
    if (open) {
      at("meter").value = found.probability;
      at("probability-text").textContent = `${percent(found.probability)} likely to be wrong`;
    }
    at("standing").textContent = this.ready ? this.#standing() : "Ranking the labels …";
  }

  open() {
    if (!this.ready) return;
    at("queue-standing").textContent = `${this.#standing()}. Load the page again to rank anew.`;
    at("queue-list").replaceChildren(...this.#rows());
    at("queue").showModal();
  }

  // The photos of the queue that nobody has looked at meanwhile.
  #left() {
    return [...this.#store.suspicions.values()].filter((found) => this.#store.label(this.#store.photos.get(found.photo_id)).state === "");
  }

  #standing() {
    const { worth_looking: limit } = this.#store.dataset;
    const left = this.#left();
    const worth = left.slice(0, left.findLastIndex((found) => found.probability >= limit) + 1);
    const rest = sum(left) - sum(worth);
    const found = `${this.#found()} wrong found`;
    if (!left.length) return `${found} · every label looked at`;
    if (!worth.length) return `${found} · a good place to stop: ${about(rest)} of the ${left.length.toLocaleString("en")} others wrong`;
    return `${found} · worth a look: ${worth.length.toLocaleString("en")} more, ${about(sum(worth))} wrong · ${about(rest)} wrong after these`;
  }

  // Labels that a person moved so far that they were wrong.
  #found() {
    const apart = (photo) => {
      const [[x, y], [x0, y0]] = [this.#map.xy(this.#store.position(photo)), this.#map.xy(photo)];
      return Math.hypot(x - x0, y - y0);
    };
    const judged = [...this.#store.photos.values()].filter((photo) => this.#store.label(photo).state === "move" || this.#store.label(photo).state === "confirm");
    return judged.filter((photo) => apart(photo) >= this.#store.dataset.wrong_m).length;
  }

  #rows() {
    const limit = this.#store.dataset.worth_looking;
    const listed = [...this.#store.suspicions.values()].slice(0, SHOWN);
    const stop = [...this.#store.suspicions.values()].findLastIndex((found) => found.probability >= limit) + 1;
    return listed.flatMap((found, index) => {
      const row = this.#row(found);
      return index === stop ? [divider(`From here on fewer than 1 in ${Math.round(1 / limit)} labels is wrong: a good place to stop.`), row] : [row];
    });
  }

  #row(found) {
    const photo = this.#store.photos.get(found.photo_id);
    const state = this.#store.label(photo).state;
    const words = { "": "", move: "corrected", confirm: "confirmed", unsure: "unsure", exclude: "excluded" };
    const row = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.dataset.id = photo.id;
    for (const text of [percent(found.probability), photo.name, words[state]]) {
      button.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    row.append(button);
    return row;
  }
}

function divider(text) {
  return Object.assign(document.createElement("li"), { className: "stop", textContent: text });
}

function sum(suspicions) {
  return suspicions.reduce((total, found) => total + found.probability, 0);
}

function about(count) {
  return count >= 1 ? `about ${Math.round(count).toLocaleString("en")}` : "under 1";
}

function percent(share) {
  return share < 0.01 ? "under 1 %" : `${Math.min(Math.round(100 * share), 99)} %`;
}
