// A run: the server folds, this draws. Everything here comes from the view that the socket brings, or, for a past
// moment, from the same view at that sequence. Nothing about a run lives in this page.

import { $, data, h, show, since, duration, announce } from "./dom.js";
import { call } from "./api.js";
import { Feed } from "./feed.js";
import { banner, refused } from "./shell.js";
import { button } from "./commands.js";
import { notices } from "./outcome.js";
import { kit } from "./kit.js";
import { resources, node } from "./cloud.js";
import { names } from "./names.js";
import { timeline, slider, Spans } from "./timeline.js";
import { decommission } from "./decommission.js";
import { Log } from "./log.js";

const PARTS = { kit, resources, node, dns: names, timeline };
const root = $("run");
const sovereign = root.dataset.sovereign;
const mayOperate = root.dataset.operate === "1";
const mayApprove = root.dataset.approve === "1";
const usual = data("usual");
const log = new Log();
const spans = new Spans();
let now = data("view");
let past = null;
let tab = root.dataset.tab;

const mayPress = (name) => (name === "approve" ? mayApprove : mayOperate);
const usually = (phase) => (usual[phase.name] ? `usually ${duration(usual[phase.name])}` : "");

function drawTop(view) {
  const run = view.ended_at ? `took ${since(view.begun_at, view.ended_at)}` : since(view.begun_at, past ? view.last_at : null);
  $("word").textContent = [view.word, `run ${view.run}`, run].join(" · ");
  const busy = view.phases.find((phase) => phase.mark === "working");
  const held = view.ended_at || past || !view.since ? "" : ` (${[since(view.since), busy ? usually(busy) : ""].filter(Boolean).join(", ")})`;
  $("sentence").textContent = view.sentence + held;
  show($("phases"), [view.phases, Boolean(past)], () => view.phases.map((phase) => h("li", { "data-mark": phase.mark, title: phase.field },
    h("strong", {}, phase.name), h("span", { class: "unseen" }, `: ${phase.mark}`),
    h("small", {}, phase.mark === "waiting" ? usually(phase) : h("time", { "data-since": phase.mark === "working" && !past ? phase.begun_at : null },
      since(phase.begun_at, phase.ended_at || (past ? view.last_at : null))), phase.mark === "working" && usually(phase) ? `, ${usually(phase)}` : ""))));
  const names = past ? [] : view.commands.filter(mayPress);
  show($("banner"), [view.trouble, names, view.plan?.digest, view.waiting_for, view.urls, view.probes, view.dns.state, view.dns.next_check_at, view.released, tab === "kit", Boolean(past)], () => {
    const buttons = names.map((name) => button(name, view)).filter(Boolean);
    return [view.trouble ? banner(view.trouble, buttons) : null, ...notices(view, { unfolded: tab === "kit" }),
      !view.trouble && buttons.length ? h("div", { class: "actions" }, buttons) : null];
  });
}

function drawPart(view) {
  for (const link of document.querySelectorAll(".tabs a[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const part = $("part");
  $("slider").hidden = tab !== "timeline";
  if (tab === "timeline") show($("slider"), [spans.moments.length, Boolean(past)], () => slider({ moments: spans.moments, at: past?.last_sequence, travel }));
  if (tab === "log") { show(part, "log", () => log.element()); return; }
  if (tab === "decommission") { decommission(part, view, { sovereign, mayOperate }); return; }
  const key = [tab, view.releases, view.flux, view.resources, view.plan, view.servers, view.dns, view.probes, view.phases, view.cost, tab === "timeline" ? view.last_at : "", Boolean(past)];
  const context = { sovereign, past: Boolean(past), spans, usual };
  show(part, key, () => [(PARTS[tab] || kit)(view, context)].flat(9));
}

function draw() {
  const view = past || now;
  drawTop(view);
  drawPart(view);
}

// Many views within one moment are one drawing.
let due = 0;
function drawSoon() {
  due ||= setTimeout(() => { due = 0; draw(); }, 50);
}

async function travel(sequence) {
  try {
    past = sequence === null ? null : await call("GET", `/api/v1/sovereigns/${sovereign}?at=${sequence}`);
  } catch (error) { refused($("answer"), error); }
  $("past").hidden = past === null;
  if (past) $("past").replaceChildren(h("strong", {}, "This is the past: "), `${new Date(past.last_at).toLocaleString()}, after ${past.events} facts. `,
    h("button", { type: "button", class: "quiet copy", onclick: () => travel(null) }, "Back to now"));
  draw();
}

document.querySelector("nav.tabs").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-tab]");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  tab = link.dataset.tab;
  history.pushState(null, "", link.href);
  draw();
});
addEventListener("popstate", () => { tab = location.pathname.split("/")[3] || "kit"; draw(); });
setInterval(() => {
  if (past) return;
  for (const time of document.querySelectorAll("time[data-since]")) time.textContent = since(time.dataset.since);
  if (!now.ended_at) drawTop(now);
}, 1000);

$("issue").href = `https://github.com/openova-io/openova/issues/new?${new URLSearchParams({ labels: "area/platform,kind/provisioning", title: `Provisioning of ${now.fqdn} in ${now.region}` })}`;
draw();
new Feed({ channel: sovereign, view: true, logs: true, from: 0 }, {
  event: (message) => { log.add(message); spans.take(message.id, message.event); },
  view: (message) => {
    const before = now;
    now = message.view;
    if (before.state !== now.state) announce(`${now.fqdn}: ${now.word}`);
    if (!past) drawSoon();
  },
  log: (message) => log.addLines(message),
  status: (text) => { $("link").textContent = text; },
  restart: () => { log.clear(); spans.clear(); },
});
