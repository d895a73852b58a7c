// A component's page, and its family's: what it is, what it needs and who needs it, from the same catalogue as step 5.

import { $, bare, h, mark } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";
import { size } from "./components.js";

const TIERS = { mandatory: "Always included", recommended: "Recommended: chosen unless you take it out", optional: "Optional" };
const link = (name) => h("a", { href: `/components/${name}` }, bare(name));
const several = (names) => (names.length ? names.flatMap((name, index) => [index ? ", " : "", link(name)]) : "nothing");

function one(row, rows) {
  const neededBy = rows.filter((other) => other.depends_on.includes(row.name)).map((other) => other.name);
  return [h("p", { class: "lead" }, row.description), h("dl", { class: "rows" }, [
    ["Family", h("a", { href: `/components?family=${encodeURIComponent(row.family)}` }, row.family)], ["In the kit", TIERS[row.tier]],
    ["Version", row.version || "–"], ["Licence", row.licence || "–"], ["Asks for", size(row) || "–"], ["Needs", several(row.depends_on)], ["Needed by", several(neededBy)],
    ["Read on", row.homepage ? h("a", { href: row.homepage, rel: "noreferrer" }, row.homepage) : "–"],
    ...(row.after_hand_off ? [["When", `to be added after hand-off: it ${row.after_hand_off}`]] : []),
  ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))];
}

async function draw() {
  const place = $("product");
  try {
    const rows = (await call("GET", "/api/v1/catalogue")).components;
    const { name } = place.dataset;
    const family = new URLSearchParams(location.search).get("family") || "";
    const found = rows.find((row) => row.name === name);
    const families = [...new Set(rows.map((row) => row.family))].sort();
    $("families").replaceChildren(...["", ...families].map((each) => h("a", { class: "button quiet chip", href: each ? `/components?family=${encodeURIComponent(each)}` : "/components",
      "aria-current": each === (found?.family || family) && !(name && !each) ? "true" : null }, each || "All families")));
    if (name && !found) { place.replaceChildren(h("p", {}, "The kit of this release has no such component.")); return; }
    if (!name && family) $("title").textContent = `Components of the ${family} family`;
    const some = rows.filter((row) => !family || row.family === family);
    place.replaceChildren(...(found ? one(found, rows) : [h("div", { class: "cards" }, some.map((row) => h("article", {}, h("h2", {}, link(row.name)), h("p", {}, row.description),
      h("p", { class: "hint" }, mark(row.tier === "optional" ? "waiting" : "done", TIERS[row.tier]))))), some.length ? null : h("p", {}, "Nothing of this family is in the kit.")].filter(Boolean)));
  } catch (error) { refused(place, error); }
}
draw();
