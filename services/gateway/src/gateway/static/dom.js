// Building pages: text is always text (never HTML), so nothing that a component or a log line says becomes markup.

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Replaces the content only when it says something else, so nothing jumps and a selection survives.
const shown = new WeakMap();
export function show(place, key, build) {
  const text = JSON.stringify(key);
  if (shown.get(place) === text) return;
  shown.set(place, text);
  const open = new Set([...place.querySelectorAll("details[open]")].map((d) => d.dataset.key));
  place.replaceChildren(...[build()].flat().filter(Boolean));
  for (const d of place.querySelectorAll("details")) if (open.has(d.dataset.key)) d.open = true;
}

export function copyButton(text) {
  const button = h("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

export function duration(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function since(at, until) {
  return at ? duration(((until ? Date.parse(until) : Date.now()) - Date.parse(at)) / 1000) : "";
}

export const clock = (at) => (at ? new Date(at).toLocaleTimeString() : "");

let announced = "";
export function announce(text) {
  if (text === announced) return;
  announced = text;
  $("announce").textContent = text;
}

export function data(id) {
  return JSON.parse($(id).textContent);
}
