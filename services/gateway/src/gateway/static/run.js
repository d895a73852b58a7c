// A run: the server folds, this draws. Everything here comes from the view that the socket brings, or, for a past
// moment, from the same view at that sequence.

import { $, data, h, show, since, duration, announce } from "./dom.js";
import { call } from "./api.js";
import { Feed } from "./feed.js";
import { banner, refused } from "./common.js";
import { PARTS } from "./parts.js";
import { Log } from "./log.js";

const root = $("run");
const sovereign = root.dataset.sovereign;
const mayOperate = root.dataset.operate === "1";
const log = new Log();
let now = data("view");
let past = null;
let tab = root.dataset.tab;

const COMMANDS = {
  cancel: { word: "Cancel this run", ask: "What exists is kept for a retry." },
  retry: { word: "Retry", ask: "The next run goes on from what exists." },
  reconcile: { word: "Reconcile now", ask: "The cluster is listed anew and Flux is kicked." },
  approve: { word: "Approve this plan", ask: "OpenTofu applies exactly this plan." },
};

function button(name, view) {
  const command = COMMANDS[name];
  if (!command) return null;
  return h("button", { type: "button", class: name === "cancel" ? "quiet" : "", title: command.ask, onclick: async (event) => {
    event.target.disabled = true;
    try {
      await call("POST", `/api/v1/sovereigns/${sovereign}/${name}`, name === "approve" ? { plan_digest: view.plan.digest } : {});
      announce(`${command.word}: taken.`);
    } catch (error) {
      event.target.disabled = false;
      refused($("banner"), error);
    }
  } }, command.word);
}

function drawTop(view) {
  const over = view.ended_at ? `, took ${since(view.begun_at, view.ended_at)}` : "";
  $("word").textContent = `${view.word} · run ${view.run} · ${view.ended_at ? `ended${over}` : since(view.begun_at)}`;
  const held = view.ended_at || !view.since ? "" : ` (${since(view.since)})`;
  $("sentence").textContent = view.sentence + held;
  show($("phases"), view.phases, () => view.phases.map((phase) => h("li", { "data-mark": phase.mark, title: phase.field },
    phase.name, h("span", { class: "unseen" }, `: ${phase.mark}`), " ",
    h("time", { class: "dim", "data-since": phase.mark === "working" ? phase.begun_at : "" },
      phase.mark === "waiting" ? "" : since(phase.begun_at, phase.ended_at)))));
  const buttons = mayOperate && !past ? view.commands.map((name) => button(name, view)).filter(Boolean) : [];
  show($("banner"), [view.trouble, view.commands, view.waiting_for, view.urls, view.dns.state, Boolean(past)], () => [
    view.trouble ? banner(view.trouble, buttons) : null,
    ...PARTS.notices(view),
    !view.trouble && buttons.length ? h("div", { class: "actions" }, buttons) : null,
  ]);
}

function drawPart(view) {
  for (const link of document.querySelectorAll(".tabs a[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const part = $("part");
  if (tab === "log") { show(part, "log", () => log.element()); return; }
  PARTS.draw(part, tab, view, { sovereign, mayOperate, travel, newest: now.last_sequence });
}

function draw() {
  const view = past || now;
  drawTop(view);
  drawPart(view);
}

async function travel(sequence) {
  if (sequence === null) past = null;
  else past = await call("GET", `/api/v1/sovereigns/${sovereign}?at=${sequence}`);
  const place = $("past");
  place.hidden = past === null;
  if (past) place.replaceChildren(`This is the past: ${new Date(past.last_at).toLocaleString()}, after fact ${past.events}. `,
    h("button", { type: "button", class: "quiet", onclick: () => travel(null) }, "Back to now"));
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
  for (const time of document.querySelectorAll("time[data-since]")) if (time.dataset.since) time.textContent = since(time.dataset.since);
  if (!now.ended_at) drawTop(now);
}, 1000);

draw();
new Feed({ channel: sovereign, view: true, from: 0 }, {
  event: (message) => log.add(message),
  view: (message) => {
    const before = now;
    now = message.view;
    if (before.state !== now.state) announce(`${now.fqdn}: ${now.word}`);
    if (!past) draw();
  },
  status: (text) => { $("link").textContent = text; },
  restart: () => log.clear(),
});
