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

export const bare = (name) => name.split("/").pop().replace(/^bp-/, "");
export const mark = (state, ...text) => h("span", { class: "mark", "data-mark": state }, text);
const NUMBERS = new Set(["Took", "Messages", "Size", "Room", "Waiting", "In hand", "Delivered again"]);
export const table = (caption, heads, rows) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {},
  h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: NUMBERS.has(head) ? "num" : null }, head)))), h("tbody", {}, rows)));
export const row = (...cells) => h("tr", {}, cells.map((cell) => (cell instanceof Element && cell.tagName === "TD" ? cell : h("td", {}, cell))));

// Replaces the content only when it says something else, so nothing jumps and a selection survives.
const shown = new WeakMap();
export function show(place, key, build) {
  const text = JSON.stringify(key);
  if (shown.get(place) === text) return;
  shown.set(place, text);
  const before = new Map([...place.querySelectorAll("details")].map((one) => [one.dataset.key, one.open]));
  place.replaceChildren(...[build()].flat(9).filter(Boolean));
  for (const one of place.querySelectorAll("details")) if (before.get(one.dataset.key)) one.open = true;
}

// Puts a text on the clipboard and says so on the button; where there is no clipboard (plain HTTP), it selects nothing.
export async function copy(button, text) {
  const before = button.firstChild.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.firstChild.textContent = "Copied";
  } catch {
    button.firstChild.textContent = "Not copied: select it by hand";
  }
  announce(button.firstChild.textContent);
  setTimeout(() => { button.firstChild.textContent = before; }, 1500);
}

export function copyButton(text, what = text) {
  const button = h("button", { type: "button", class: "quiet copy" }, "Copy", h("span", { class: "unseen" }, ` ${what}`));
  button.addEventListener("click", () => copy(button, text));
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

export const clock = (at) => (at ? new Date(at).toLocaleTimeString("en-GB") : "");

let announced = "";
export function announce(text) {
  if (text === announced) return;
  announced = text;
  $("announce").textContent = text;
}

export function data(id) {
  return JSON.parse($(id).textContent);
}
