// The page: which photo is shown, and what buttons, keys and the map do to it.

import { MapView } from "/static/map.js";
import { QueueView } from "/static/queue.js";
import { Store } from "/static/store.js";

const at = (id) => document.getElementById(id);
const store = new Store();
let map;
let queue;
let current = null;
let noteTimer;
let over = false;
let placeTimer;
let openGround = null;
let waitingPhotos = [];
let takingIn = false;

const scopeKind = () => document.querySelector("input[name=scope]:checked").value;
const order = () => (at("order").value === "queue" ? store.byQueue : store.byTime);
const reviewed = () => [...store.photos.values()].filter((photo) => store.label(photo).state !== "").length;
const types = (element) => element.matches("input:not([type=radio]), select, textarea");

function choose(id, { follow = true } = {}) {
  if (id !== current?.id) at("why").value = "";  // it was about another photo
  current = store.photos.get(id);
  if (map.placing) leavePlacing();
  document.querySelector("footer").inert = false;
  document.body.dataset.ready = "true";
  note("");
  history.replaceState(null, "", `#${id.slice(0, 16)}`);
  at("image").src = `/photos/${id}`;
  at("image").alt = `Photo ${current.name}`;
  show();
  if (follow) map.follow();
  const upcoming = order()[order().indexOf(id) + 1];
  if (upcoming) new Image().src = `/photos/${upcoming}`;
}

function step(by) {
  const ids = order();
  const index = ids.indexOf(current.id) + by;
  if (index >= 0 && index < ids.length) choose(ids[index]);
}

function act(kind, extra = {}) {
  note("");
  store.save([{ photo: current, kind, ...extra }], at("why").value.trim());
}

function move({ east, north }) {
  note("");
  const photos = store.scope(current, scopeKind());
  const changes = photos.map((photo) => ({ photo, kind: "move", ...map.shifted(store.position(photo), east, north) }));
  store.save(changes, at("why").value.trim());
}

// Where the rest of the walk places it: this photo alone, whatever a move applies to.
function accept() {
  const place = store.expected(current);
  if (place) act("move", place);
}

// One line over the map, with a button where there is something to do about it.
function note(text, button = "", action = null) {
  clearTimeout(noteTimer);
  at("note-text").textContent = text;
  at("note").classList.toggle("shown", text !== "");
  at("note-button").textContent = button;
  at("note-button").hidden = !button;
  at("note-button").onclick = action;
}

// A move by mouse or finger can be a slip: it says how far, with the way back beside it.
function moved(detail) {
  const metres = Math.hypot(detail.east, detail.north);
  move(detail);
  note(`Moved ${metres < 10 ? metres.toFixed(1) : Math.round(metres)} m`, "Undo", () => { note(""); store.undo(); });
  noteTimer = setTimeout(() => note(""), 12000);
}

function picked({ picked: up }) {
  if (up) note("Pin picked up: tap or click its place", "Put back", () => map.cancel());
  else note("");
}

function missed() {
  note("Nothing moved: tap the pin first, then the place");
  noteTimer = setTimeout(() => note(""), 6000);
}

const around = (degrees) => ((degrees % 360) + 360) % 360;

// All that a move would carry along turn by the same angle; those without a heading have none to turn.
function turn(heading) {
  const before = store.heading(current);
  const turned = store.scope(current, scopeKind()).filter((photo) => photo === current || (before !== null && store.heading(photo) !== null));
  note("");
  const changes = turned.map((photo) => ({
    photo, kind: "turn", heading_deg: around(photo === current ? heading : store.heading(photo) + heading - before),
  }));
  store.save(changes, at("why").value.trim());
}

// A mark goes on or off for all that a move would carry along, as it does for the photo on show.
function mark(kind) {
  const off = store.label(current).state === kind;
  const marked = store.scope(current, scopeKind()).filter((photo) => (store.label(photo).state === kind) === off);
  note("");
  store.save(marked.map((photo) => ({ photo, kind: off ? "unmark" : kind })), at("why").value.trim());
}

// Where the pin is in words, asked of the server once it stands still.
async function tellPlace() {
  clearTimeout(placeTimer);
  if (!store.dataset.ground) return;
  placeTimer = setTimeout(async () => {
    const asked = store.position(current);
    const found = await store.place(asked);
    const now = store.position(current);
    if (!found || map.placing || asked.lon !== now.lon || asked.lat !== now.lat) return;
    openGround = found.ground;
    at("where").hidden = !found.text;
    at("where-text").textContent = found.text;
    at("off-roof").hidden = !found.ground;
    at("off-roof").textContent = found.on_roof ? "Off the roof" : "To dry ground";
  }, 150);
}

// Photos without a position, one after the other: a click on the map takes each into the dataset.
async function listUnplaced() {
  waitingPhotos = await store.unplaced();
  nameUnplaced();
}

function nameUnplaced() {
  at("unplaced-open").hidden = !waitingPhotos.length;
  at("unplaced-open").textContent = `Place ${waitingPhotos.length === 1 ? "a photo" : `${waitingPhotos.length} photos`}`;
  at("unplaced-open").setAttribute("aria-label", `Place ${waitingPhotos.length} photos without a position`);
}

function placeNext() {
  const [next] = waitingPhotos;
  if (!next) return;
  clearTimeout(placeTimer);
  map.cancel();
  map.placing = true;
  at("map").classList.add("placing");
  at("map").focus({ preventScroll: true });  // Enter would press the button again
  at("unplaced-open").textContent = "Stop placing";
  at("unplaced-open").setAttribute("aria-label", "Stop placing photos");
  document.querySelector("footer").inert = true;
  at("image").src = `/unplaced/${next.sha256}`;
  at("image").alt = `Photo ${next.name}`;
  at("name").textContent = next.name;
  at("facts").textContent = `not in the dataset yet: ${next.reason}`;
  at("reasons").replaceChildren();
  at("where").hidden = at("probability").hidden = true;
  note("Click or tap where this photo was taken", "Skip", () => {
    waitingPhotos.push(waitingPhotos.shift());
    placeNext();
  });
}

function leavePlacing() {
  map.placing = false;
  at("map").classList.remove("placing");
  nameUnplaced();
}

function togglePlacing() {
  if (!map.placing) placeNext();
  else if (current) choose(current.id);
  else leavePlacing();
}

async function placed(place) {
  if (takingIn) return;
  const [photo] = waitingPhotos;
  takingIn = true;
  note("Taking it in …");
  const complaint = await store.takeIn(photo.sha256, place);
  takingIn = false;
  if (complaint) {
    alarm(complaint);
    placeNext();
    return;
  }
  location.hash = photo.sha256.slice(0, 16);
  location.reload();
}

function leaveRoof() {
  if (openGround) act("move", { lon: openGround.lon, lat: openGround.lat });
}

function confirm() {
  act("confirm");
  step(1);
}

function enlarge() {
  const large = at("enlarge").classList.toggle("large");
  at("enlarge").setAttribute("aria-pressed", String(large));
}

function letGo() {
  if (at("enlarge").classList.contains("large")) enlarge();
  else if (map.placing) togglePlacing();
  else map.cancel();
}

function nextScope() {
  const open = [...document.querySelectorAll("input[name=scope]:not(:disabled)")];
  open[(open.findIndex((input) => input.checked) + 1) % open.length].checked = true;
  show();
}

function show() {
  if (map.placing) return;
  const ids = order();
  const index = ids.indexOf(current.id);
  const label = store.label(current);
  at("progress").textContent = `${index + 1} of ${ids.length} · ${reviewed()} reviewed`;
  at("name").textContent = current.name;
  at("facts").textContent = facts(label);
  at("reasons").replaceChildren(...reasons().map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  at("previous").disabled = index === 0;
  at("next").disabled = index === ids.length - 1;
  at("reset").disabled = label.state === "";
  queue.show(current);
  openGround = null;
  at("off-roof").hidden = true;
  tellPlace();
  showExpected();
  for (const kind of ["unsure", "exclude", "confirm"]) at(kind).setAttribute("aria-pressed", String(label.state === kind));
  if (document.activeElement !== at("heading")) at("heading").value = round(store.heading(current));
  for (const kind of ["burst", "walk"]) {
    const input = document.querySelector(`input[value=${kind}]`);
    const count = store.scope(current, kind).length;
    input.disabled = count < 2;
    input.nextElementSibling.textContent = `its ${kind}${count > 1 ? ` (${count})` : ""}`;
    if (input.disabled && input.checked) document.querySelector("input[value=photo]").checked = true;
  }
  document.querySelector(".key.accuracy").hidden = current.accuracy_m === null;
  document.querySelector(".key.model").hidden = current.model === null;
  document.querySelector(".key.refined").hidden = current.refined === null;
  map.show(current, store.scope(current, scopeKind()));
}

function showExpected() {
  const place = store.expected(current);
  at("accept").hidden = !place;
  document.querySelector(".key.expected").hidden = !place;
  if (!place) return;
  const [[x, y], [x0, y0]] = [map.xy(place), map.xy(store.position(current))];
  const metres = Math.round(Math.hypot(x - x0, y - y0));
  at("accept").setAttribute("aria-label", `Walk's place: move this photo to where the rest of its walk places it, ${metres} m from here`);
}

function facts(label) {
  const [x, y] = map.xy(store.position(current));
  const [x0, y0] = map.xy(current);
  const moved = Math.hypot(x - x0, y - y0);
  const states = { confirm: "confirmed", unsure: "marked unsure", exclude: "excluded", move: "corrected" };
  return [
    current.captured_at,
    current.accuracy_m !== null && `accuracy ${Math.round(current.accuracy_m)} m`,
    states[label.state] && `${states[label.state]}${label.by ? ` by ${label.by}` : ""}`,
    moved > 0.05 && `moved ${moved < 10 ? moved.toFixed(1) : Math.round(moved)} m`,
  ].filter(Boolean).join(" · ");
}

function reasons() {
  const found = store.suspicions.get(current.id)?.reasons ?? [];
  return found.map((reason) => reason.text);
}

function round(heading) {
  return heading === null ? "" : String(Math.round(heading) % 360);
}

function alarm(text) {
  at("alert-text").textContent = text;
  at("alert").hidden = false;
}

const keys = {
  n: () => step(1), pagedown: () => step(1), p: () => step(-1), pageup: () => step(-1),
  u: () => store.undo(), enter: confirm, s: () => mark("unsure"), x: () => mark("exclude"),
  r: () => !at("reset").disabled && act("reset"), b: nextScope, h: () => at("help").showModal(), "?": () => at("help").showModal(),
  "+": () => map.zoom(1.4), "=": () => map.zoom(1.4), "-": () => map.zoom(1 / 1.4), 0: () => map.fit(),
  escape: letGo, z: enlarge,
  w: accept, g: leaveRoof, q: () => queue.open(),
  ",": () => turn((store.heading(current) ?? 0) - 5), ".": () => turn((store.heading(current) ?? 0) + 5),
};
// While a photo without a position is on show, no key may change the one that was on show before.
const keysWhilePlacing = ["+", "=", "-", "0", "h", "?", "q", "z", "escape"];
const arrows = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, 1], arrowdown: [0, -1] };

function onKey(event) {
  const key = event.key.toLowerCase();
  const typing = types(event.target) || at("help").open || at("queue").open || !current;
  if (key === "escape" && types(event.target)) at("map").focus();
  if (typing || event.altKey || (map.placing && !keysWhilePlacing.includes(key))) return;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" || event.shiftKey) return;
    event.preventDefault();
    store.undo();
    return;
  }
  if (key === "enter" && event.target.tagName === "BUTTON") return;
  if (arrows[key]) {
    if (event.target.tagName === "INPUT") return;  // they choose among the radio buttons
    const metres = event.shiftKey ? 10 : 1;
    move({ east: arrows[key][0] * metres, north: arrows[key][1] * metres });
    map.follow();
  } else if (keys[key]) keys[key]();
  else return;
  event.preventDefault();
}

function connect() {
  const clicks = {
    previous: () => step(-1), next: () => step(1), undo: () => store.undo(), confirm, unsure: () => mark("unsure"),
    exclude: () => mark("exclude"), reset: () => act("reset"), "zoom-in": () => map.zoom(1.4), "zoom-out": () => map.zoom(1 / 1.4),
    "zoom-fit": () => map.fit(), "help-open": () => at("help").showModal(), "help-close": () => at("help").close(),
    accept, "off-roof": leaveRoof, "queue-open": () => queue.open(), "unplaced-open": togglePlacing, enlarge, "alert-close": () => { at("alert").hidden = true; },
  };
  for (const [id, listener] of Object.entries(clicks)) at(id).addEventListener("click", listener);
  for (const input of document.querySelectorAll("input[name=scope]")) input.addEventListener("change", () => current && show());
  at("order").addEventListener("change", () => { if (current) show(); at("map").focus(); });
  at("heading").addEventListener("change", () => {
    const heading = at("heading").valueAsNumber;
    if (Number.isFinite(heading)) turn(heading);
  });
  document.addEventListener("keydown", onKey);
  map.addEventListener("move", ({ detail }) => moved(detail));
  map.addEventListener("picked", ({ detail }) => picked(detail));
  map.addEventListener("missed", missed);
  map.addEventListener("placed", ({ detail }) => placed(detail));
  queue.addEventListener("choose", ({ detail }) => choose(detail.id));
  map.addEventListener("turn", ({ detail }) => turn(detail.heading));
  map.addEventListener("choose", ({ detail }) => choose(detail.id));
  store.addEventListener("change", () => current && show());
  store.addEventListener("refused", ({ detail }) => alarm(detail));
  store.addEventListener("undone", ({ detail }) => { if (detail.length && !detail.includes(current.id)) choose(detail[0]); });
  store.addEventListener("saved", ({ detail }) => {
    at("saved").textContent = detail.text;
    at("saved").className = detail.kind;
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) store.refresh(); });
  window.addEventListener("focus", () => store.refresh());
  window.addEventListener("beforeunload", (event) => { if (store.stuck) event.preventDefault(); });
}

// What the server is busy with, until the queue is there; a photo that somebody chose meanwhile stays.
async function waiting() {
  while (!over) {
    const found = await store.progress();
    if (!current && found?.stage === "ranking" && found.total) {
      at("progress").textContent = `Ranking ${found.total.toLocaleString("en")} labels: ${Math.round((100 * found.done) / found.total)} %`;
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

try {
  waiting();
  await store.loadDataset();
  at("site").textContent = `${store.dataset.site.name} · labels`;
  map = new MapView(store);
  queue = new QueueView(store, map);
  connect();
  listUnplaced();
  const wanted = location.hash.slice(1);
  const first = wanted && store.byTime.find((id) => id.startsWith(wanted));
  map.fit();
  at("map").focus({ preventScroll: true });
  if (!store.byTime.length) {
    at("progress").textContent = "";
    alarm("This dataset holds no photos yet: ingest some first.");
  } else {
    if (first) choose(first);
    await store.loadQueue();
    queue.load();
    if (map.placing) current ??= store.photos.get(store.byQueue[0]);
    else if (current) show();
    else choose(store.byQueue[0]);
  }
} catch (error) {
  alarm(`${error.message || error} Load the page again once that is mended.`);
} finally {
  over = true;
}
