"use strict";
// Polygons on one photo at a time, in shares of its width and height; each closed polygon is saved at once.
(() => {
  const state = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const canvas = element("canvas");
  const context = canvas.getContext("2d");
  const picture = new Image();
  const CLOSE_PX = 12;
  let index = Math.max(0, state.photos.findIndex((photo) => !photo.marked));
  let chosen = 1;
  let polygons = [];
  let open = [];
  let cross = [0.5, 0.5];
  let saving = Promise.resolve();

  const say = (text, bad = false) => {
    element("hint").textContent = text;
    element("hint").classList.toggle("bad", bad);
  };

  const polygonPath = (points) => {
    context.beginPath();
    points.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
  };

  const draw = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (picture.naturalWidth) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const line = Math.max(1.5, canvas.width / 400);
    for (const polygon of polygons) {
      const colour = state.colours[state.classes.indexOf(polygon.class)];
      polygonPath(polygon.points);
      context.closePath();
      context.globalAlpha = 0.45;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.stroke();
    }
    if (open.length) {
      polygonPath(open);
      context.lineWidth = 2 * line;
      context.strokeStyle = "#fff";
      context.stroke();
      context.lineWidth = line;
      context.strokeStyle = state.colours[chosen];
      context.stroke();
      for (const [x, y] of open) {
        context.fillStyle = "#fff";
        context.fillRect(x * canvas.width - 2 * line, y * canvas.height - 2 * line, 4 * line, 4 * line);
      }
    }
    if (document.activeElement === canvas) {
      const [x, y] = [cross[0] * canvas.width, cross[1] * canvas.height];
      context.lineWidth = line;
      context.strokeStyle = "#ff00c8";
      context.beginPath();
      context.moveTo(x - 6 * line, y); context.lineTo(x + 6 * line, y);
      context.moveTo(x, y - 6 * line); context.lineTo(x, y + 6 * line);
      context.stroke();
    }
  };

  const tell = () => {
    const done = state.photos.filter((photo) => photo.marked).length;
    const corners = open.length ? ` ${open.length} ${open.length === 1 ? "corner" : "corners"} set.` : "";
    const count = polygons.length === 1 ? "1 polygon" : `${polygons.length} polygons`;
    say(`Photo ${index + 1} of ${state.photos.length}, ${done} marked. ${count} here.${corners}`);
    element("undo").disabled = !open.length && !polygons.length;
    element("clear").disabled = !polygons.length && !open.length;
    element("close").disabled = open.length < 3;
    element("photo").options[index].textContent = label(state.photos[index]);
    draw();
  };

  const label = (photo) => (photo.marked ? "✓ " : "") + photo.name;

  const save = () => {
    const photo = state.photos[index];
    const body = JSON.stringify(polygons);
    photo.marked = polygons.length > 0;
    tell();
    saving = saving.then(async () => {
      try {
        const answer = await fetch(`/api/marks/${photo.id}`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
        if (!answer.ok) throw new Error((await answer.json()).error);
      } catch (error) {
        say(`Not saved: ${error.message} Draw once more.`, true);
      }
    });
  };

  const show = async (number) => {
    index = (number + state.photos.length) % state.photos.length;
    open = [];
    polygons = [];
    element("photo").selectedIndex = index;
    const photo = state.photos[index];
    await saving;
    try {
      const answer = await fetch(`/api/marks/${photo.id}`);
      const found = (await answer.json()).polygons;
      if (state.photos[index] !== photo) return;
      polygons = found;
    } catch {
      say("The polygons of this photo cannot be read.", true);
    }
    picture.onload = () => {
      canvas.width = picture.naturalWidth;
      canvas.height = picture.naturalHeight;
      tell();
    };
    picture.onerror = () => say("This photo cannot be shown.", true);
    picture.src = `/photos/${photo.id}`;
    tell();
  };

  const close = () => {
    if (open.length < 3) return;
    polygons.push({ class: state.classes[chosen], points: open });
    open = [];
    save();
  };

  const set = (point) => {
    if (open.length >= 3) {
      const [dx, dy] = [(point[0] - open[0][0]) * canvas.clientWidth, (point[1] - open[0][1]) * canvas.clientHeight];
      if (Math.hypot(dx, dy) < CLOSE_PX) return close();
    }
    open.push(point.map((share) => Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 1e4));
    tell();
  };

  const undo = () => {
    if (open.length) {
      open.pop();
      tell();
    } else if (polygons.length) {
      polygons.pop();
      save();
    }
  };

  // the photo lies in the canvas as large as its shape allows: the rest of the canvas is empty
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
    const [width, height] = [canvas.width * scale, canvas.height * scale];
    return [
      (event.clientX - box.left - (box.width - width) / 2) / width,
      (event.clientY - box.top - (box.height - height) / 2) / height,
    ];
  };

  const choose = (number) => {
    chosen = number;
    for (const button of element("classes").children) button.setAttribute("aria-checked", Number(button.value) === number);
    draw();
  };

  state.classes.forEach((name, number) => {
    if (!number) return;
    const button = document.createElement("button");
    button.type = "button";
    button.value = number;
    button.setAttribute("role", "radio");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = state.colours[number];
    button.append(swatch, `${number} ${name}`);
    button.addEventListener("click", () => choose(number));
    element("classes").append(button);
  });
  for (const photo of state.photos) element("photo").add(new Option(label(photo)));

  canvas.addEventListener("click", (event) => {
    canvas.focus();
    cross = place(event);
    if (cross.every((share) => share > -0.02 && share < 1.02)) set([...cross]);
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  element("close").addEventListener("click", close);
  element("undo").addEventListener("click", undo);
  element("clear").addEventListener("click", () => {
    open = [];
    polygons = [];
    save();
  });
  element("previous").addEventListener("click", () => show(index - 1));
  element("next").addEventListener("click", () => show(index + 1));
  element("photo").addEventListener("change", (event) => show(event.target.selectedIndex));
  element("unmarked").addEventListener("click", () => {
    const order = state.photos.map((_, k) => (index + 1 + k) % state.photos.length);
    const next = order.find((k) => !state.photos[k].marked);
    if (next === undefined) say("Every photo is marked.");
    else show(next);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const onButton = event.target.tagName === "BUTTON";
    if (event.key >= "1" && event.key < String(state.classes.length)) choose(Number(event.key));
    else if (event.key === "n") show(index + 1);
    else if (event.key === "p") show(index - 1);
    else if (event.key === "Backspace") undo();
    else if (event.key in steps && event.target === canvas) {
      const step = event.shiftKey ? 0.05 : 0.005;
      cross = cross.map((share, k) => Math.min(1, Math.max(0, share + step * steps[event.key][k])));
      draw();
    } else if (event.key === " " && !onButton) set([...cross]);
    else if (event.key === "Enter" && !onButton) close();
    else return;
    event.preventDefault();
  });
  choose(1);
  if (state.photos.length) show(index);
  else say("This dataset has no photos.");
})();
