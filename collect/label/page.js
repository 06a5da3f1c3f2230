// The page: which photo is shown, and what buttons, keys and the map do to it.

import { MapView } from "/static/map.js";
import { Store } from "/static/store.js";

const at = (id) => document.getElementById(id);
const store = new Store();
let map;
let current = null;

const scopeKind = () => document.querySelector("input[name=scope]:checked").value;
const order = () => (at("order").value === "queue" ? store.byQueue : store.byTime);
const reviewed = () => [...store.photos.values()].filter((photo) => store.label(photo).state !== "").length;
const quiet = new Set(["INPUT", "SELECT", "TEXTAREA"]);

function choose(id, { follow = true } = {}) {
  current = store.photos.get(id);
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
  store.save([{ photo: current, kind, ...extra }], at("why").value);
}

function move({ east, north }) {
  const photos = store.scope(current, scopeKind());
  const changes = photos.map((photo) => ({ photo, kind: "move", ...map.shifted(store.position(photo), east, north) }));
  store.save(changes, at("why").value);
}

function turn(heading) {
  act("turn", { heading_deg: ((heading % 360) + 360) % 360 });
}

function mark(kind) {
  act(store.label(current).state === kind ? "unmark" : kind);
}

function confirm() {
  act("confirm");
  step(1);
}

function enlarge() {
  const large = at("enlarge").classList.toggle("large");
  at("enlarge").setAttribute("aria-pressed", String(large));
}

function nextScope() {
  const open = [...document.querySelectorAll("input[name=scope]:not(:disabled)")];
  open[(open.findIndex((input) => input.checked) + 1) % open.length].checked = true;
  show();
}

function show() {
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
  map.show(current, store.scope(current, scopeKind()));
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
  escape: () => (at("enlarge").classList.contains("large") ? enlarge() : map.cancel()), z: enlarge,
  ",": () => turn((store.heading(current) ?? 0) - 5), ".": () => turn((store.heading(current) ?? 0) + 5),
};
const arrows = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, 1], arrowdown: [0, -1] };

function onKey(event) {
  const key = event.key.toLowerCase();
  const typing = quiet.has(event.target.tagName) || at("help").open;
  if (key === "escape" && quiet.has(event.target.tagName)) at("map").focus();
  if (typing || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" || event.shiftKey) return;
    event.preventDefault();
    store.undo();
    return;
  }
  if (key === "enter" && event.target.tagName === "BUTTON") return;
  if (arrows[key]) {
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
    enlarge, "alert-close": () => { at("alert").hidden = true; },
  };
  for (const [id, listener] of Object.entries(clicks)) at(id).addEventListener("click", listener);
  for (const input of document.querySelectorAll("input[name=scope]")) input.addEventListener("change", show);
  at("order").addEventListener("change", () => { show(); at("map").focus(); });
  at("heading").addEventListener("change", () => {
    const heading = at("heading").valueAsNumber;
    if (Number.isFinite(heading)) turn(heading);
  });
  document.addEventListener("keydown", onKey);
  map.addEventListener("move", ({ detail }) => move(detail));
  map.addEventListener("turn", ({ detail }) => turn(detail.heading));
  map.addEventListener("choose", ({ detail }) => choose(detail.id));
  store.addEventListener("change", show);
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

try {
  await store.load();
  at("site").textContent = `${store.dataset.site.name} · labels`;
  map = new MapView(store);
  connect();
  const wanted = location.hash.slice(1);
  const first = wanted && store.byTime.find((id) => id.startsWith(wanted));
  if (store.byTime.length) {
    map.fit();
    choose(first || store.byQueue[0]);
    at("map").focus({ preventScroll: true });
    document.body.dataset.ready = "true";
  } else alarm("This dataset holds no photos yet: ingest some first.");
} catch (error) {
  alarm(`${error.message || error} Load the page again once that is mended.`);
}
