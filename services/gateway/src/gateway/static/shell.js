// What every page has: keys, log out, and how a refusal is shown.

import { $, h, copy } from "./dom.js";
import { call } from "./api.js";

const WHOSE = { user: "Your move", cloud: "The cloud's", us: "Ours" };

export function banner(trouble, buttons = [], bad = true) {
  return h("div", { class: bad ? "banner bad" : "banner", role: "group" },
    h("h2", {}, trouble.title || `${WHOSE[trouble.owner] || ""}: ${trouble.attempted || trouble.detail || trouble.code}`),
    trouble.on ? h("p", {}, "On ", h("strong", {}, trouble.on)) : null,
    h("p", {}, h("strong", {}, "What to do: "), trouble.next_step || ""),
    trouble.remedy ? h("p", { class: "hint" }, `Read on: ${trouble.remedy}`) : null,
    trouble.message || trouble.code ? h("details", { "data-key": trouble.code }, h("summary", {}, "What was said"), h("pre", {}, `${trouble.code}\n${trouble.message || trouble.detail || ""}`)) : null,
    buttons.length ? h("div", { class: "actions" }, buttons) : null);
}

export function refused(place, error) {
  if (!error.problem) throw error;
  const errors = error.problem.errors || [];
  place.replaceChildren(banner({ ...error.problem, title: error.problem.detail }),
    ...(errors.length ? [h("ul", {}, errors.map((e) => h("li", { class: "wrong" }, `${e.field}: ${e.message}`)))] : []));
}

function moveRow(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => !row.hidden);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
  if (next) (next.querySelector("a, button") || next).focus();
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.addEventListener("click", () => copy(button, $(button.dataset.copy).textContent));
}

let before = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const key = event.key;
  if (key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  } else if (key === "s" && before === "g") location.assign("/sovereigns");
  else if (key === "n" && document.querySelector('nav a[href="/sovereigns/new"]')) location.assign("/sovereigns/new");
  else if (key === "j") moveRow(1);
  else if (key === "k") moveRow(-1);
  else if (key === "?") $("help").showModal();
  before = key;
});

const logout = $("logout");
if (logout) logout.addEventListener("click", async () => {
  await call("DELETE", "/api/v1/session");
  location.assign("/login");
});
