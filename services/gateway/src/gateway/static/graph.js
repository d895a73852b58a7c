// Who holds up whom: releases in columns by depth of their dependencies, the blocking chain lit.

import { h, svg } from "./dom.js";

const bare = (name) => name.split("/").pop().replace(/^bp-/, "");

export function graph(releases) {
  const byName = new Map(releases.map((r) => [r.component, r]));
  const needs = (r) => r.depends_on.map(bare).filter((name) => byName.has(name));
  const depths = new Map();
  const depth = (r, path) => {
    if (depths.has(r.component)) return depths.get(r.component);
    if (path.has(r.component)) return 0; // a cycle is told by the watcher; it must not hang the page
    path.add(r.component);
    const found = Math.max(-1, ...needs(r).map((name) => depth(byName.get(name), path))) + 1;
    depths.set(r.component, found);
    return found;
  };
  const columns = [];
  for (const r of releases) (columns[depth(r, new Set())] ??= []).push(r);
  const place = new Map();
  columns.forEach((column, x) => column.forEach((r, y) => place.set(r.component, [x * 170, y * 44 + 6])));
  const lit = new Set();
  const light = (r) => {
    for (const name of needs(r)) if (byName.get(name).state !== "ready" && !lit.has(`${name}>${r.component}`)) { lit.add(`${name}>${r.component}`); light(byName.get(name)); }
  };
  releases.filter((r) => r.state !== "ready").forEach(light);
  const edges = releases.flatMap((r) => needs(r).map((name) => {
    const [x1, y1] = place.get(name);
    const [x2, y2] = place.get(r.component);
    return svg("path", { class: lit.has(`${name}>${r.component}`) ? "lit" : "", d: `M${x1 + 140},${y1 + 16} C${x1 + 156},${y1 + 16} ${x2 - 16},${y2 + 16} ${x2},${y2 + 16}` });
  }));
  const boxes = releases.map((r) => {
    const [x, y] = place.get(r.component);
    return svg("g", {}, svg("title", {}, `${r.component}: ${r.state}`), svg("rect", { x, y, width: 140, height: 32, rx: 6, class: r.state === "ready" ? "" : "lit" }), svg("text", { x: x + 8, y: y + 20 }, r.component));
  });
  const width = columns.length * 170;
  const height = Math.max(...columns.map((c) => c.length)) * 44 + 10;
  return h("div", { class: "graph scroll" }, svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Dependencies of ${releases.length} releases` }, ...edges, ...boxes));
}
