// A registrar's credentials: a field for each part. They are in this page's memory only, until they are sent, sealed as one.

import { $ } from "./dom.js";

const fields = (registrar) => [...document.querySelectorAll(`[data-registrar="${CSS.escape(registrar)}"] [data-part]`)];

export const chosen = () => $("domain.registrar").value;

export function turn() {
  for (const part of document.querySelectorAll("[data-registrar]")) part.hidden = part.dataset.registrar !== chosen();
}

// What is sealed: all parts as one JSON object; empty while one is missing.
export function secret() {
  const parts = fields(chosen()).map((input) => [input.dataset.part, input.value.trim()]);
  return parts.length && parts.every(([, value]) => value) ? JSON.stringify(Object.fromEntries(parts)) : "";
}

export function disable() {
  for (const input of document.querySelectorAll("[data-part]")) input.disabled = true;
}

export function forget() {
  for (const input of document.querySelectorAll("[data-part]")) input.value = "";
}
