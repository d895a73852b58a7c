// The list: rows from the server, then whatever is said changes the row it is about.

import { $, data, h, show, since, announce } from "./dom.js";
import { call } from "./api.js";
import { Feed } from "./feed.js";
import { STEPS } from "./review.js";
import "./shell.js";

let rows = data("rows");
const body = document.querySelector("#list tbody");

function draw() {
  const wanted = $("search").value.trim().toLowerCase();
  const shownRows = rows.filter((row) => !wanted || `${row.fqdn} ${row.word} ${row.sentence} ${row.actor}`.toLowerCase().includes(wanted));
  $("empty").hidden = rows.length > 0;
  show(body, shownRows, () => shownRows.map((row) => h("tr", {},
    h("td", {}, h("a", { href: `/sovereigns/${row.sovereign}` }, row.fqdn || row.sovereign), h("div", { class: "hint" }, row.organisation || "")),
    h("td", {}, h("strong", {}, row.word || row.state), h("div", { class: "hint" }, row.sentence || "")),
    h("td", {}, h("span", { "aria-label": (row.phases || []).map((p) => `${p.name} ${p.mark}`).join(", "), role: "img" },
      (row.phases || []).map((p) => h("span", { class: "mark", "data-mark": p.mark, "aria-hidden": "true" })))),
    h("td", {}, h("time", { datetime: row.since || "", "data-since": row.since || "" }, since(row.since))),
    h("td", {}, row.actor || ""),
    h("td", { class: "num" }, row.cost ? row.cost.monthly + (row.cost.sample_prices ? " (sample)" : "") : ""))));
}

setInterval(() => document.querySelectorAll("time[data-since]").forEach((t) => { t.textContent = since(t.dataset.since); }), 1000);
$("search").addEventListener("input", draw);
draw();

// Requests that somebody of the organisation is writing: whoever opens one goes on where it was left.
async function drafts() {
  const place = $("drafts");
  if (!place.dataset.operate) return;
  try {
    const found = (await call("GET", "/api/v1/drafts")).drafts;
    place.hidden = found.length === 0;
    show(place.querySelector("ul"), found, () => found.map((one) => h("li", { class: "line" },
      h("a", { href: `/sovereigns/new/${STEPS[one.step - 1][0]}?draft=${encodeURIComponent(one.draft)}` }, one.fqdn || one.organisation || "without a name yet"),
      h("span", { class: "hint" }, ` step ${one.step} of 7, changed by ${one.changed_by} `, h("time", { "data-since": one.changed_at }, since(one.changed_at)), " ago"),
      h("button", { type: "button", class: "quiet copy", onclick: async () => { await call("DELETE", `/api/v1/drafts/${encodeURIComponent(one.draft)}`); announce("Draft forgotten."); drafts(); } }, "Forget", h("span", { class: "unseen" }, ` the draft of ${one.fqdn || one.organisation || "nobody"}`)))));
  } catch (error) { if (!error.problem) throw error; place.hidden = true; }
}
drafts();

let due = null;
async function reload() {
  due = null;
  try {
    const fresh = (await call("GET", "/api/v1/sovereigns")).sovereigns;
    for (const row of fresh) {
      const known = rows.find((other) => other.sovereign === row.sovereign);
      if (!known || known.state !== row.state) announce(`${row.fqdn}: ${row.word}`);
    }
    rows = fresh;
    draw();
  } catch { /* the feed's own line says that the connection is lost */ }
}
new Feed({ channel: "*" }, {
  event: () => { due ??= setTimeout(reload, 1000); },
  status: (text) => { $("link").textContent = text; },
  restart: reload,
});
