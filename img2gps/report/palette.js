// Colours come from the stylesheet, so that the canvas follows light and dark as the rest of the page does.

const data = JSON.parse(document.getElementById("data").textContent);
const darkMode = matchMedia("(prefers-color-scheme: dark)");
const colours = new Map();

/** Return the value of the custom property --name. */
function colour(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return colours.get(name);
}

darkMode.addEventListener("change", () => colours.clear());

/** Return a new element with properties (text, class, data attributes, ...) and children. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") made.textContent = value;
    else if (key === "on") for (const [name, handler] of Object.entries(value)) made.addEventListener(name, handler);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Return a count with thousands separated, as the rest of the page writes them. */
function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
