// The wizard's fields and the request, in both directions. A field's name is its path in the request; what it holds is
// in data-kind (text without one). Fields without a name (secrets first of all) are in no request that is kept.

import { $, h } from "./dom.js";

const READ = {
  number: (value) => (value === "" ? null : Number(value)),
  list: (value) => value.split(/[,\n]/).map((part) => part.trim()).filter(Boolean),
};

export function read(form) {
  const body = {};
  for (const element of form.elements) {
    if (!element.name || element.disabled || (element.type === "radio" && !element.checked)) continue;
    const path = element.name.split(".");
    const last = path.pop();
    const place = path.reduce((inner, part) => (inner[part] ??= {}), body);
    place[last] = (READ[element.dataset.kind] || ((value) => value.trim()))(element.value);
  }
  return body;
}

export function fill(form, body) {
  for (const element of form.elements) {
    if (!element.name || element.disabled) continue;
    const value = element.name.split(".").reduce((inner, part) => inner?.[part], body);
    if (value === undefined || value === null) continue;
    if (element.type === "radio") element.checked = element.value === String(value);
    else element.value = Array.isArray(value) ? value.join(", ") : String(value);
  }
}

// Where an error of this path is shown: the field of that name, else of the nearest path above it.
function placeOf(form, path) {
  for (let name = path; name; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
    const found = form.querySelector(`[data-wrong="${CSS.escape(name)}"]`);
    if (found) return found;
  }
  return null;
}

export function markErrors(form, errors) {
  for (const place of form.querySelectorAll("[data-wrong]")) {
    place.replaceChildren();
    const input = $(place.dataset.of || place.dataset.wrong);
    input?.removeAttribute("aria-invalid");
  }
  for (const { field, message } of errors) {
    const place = placeOf(form, field);
    if (!place) continue;
    place.append(h("p", {}, sentence(message)));
    $(place.dataset.of || place.dataset.wrong)?.setAttribute("aria-invalid", "true");
  }
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/[^.!?]$/, "$&.");
