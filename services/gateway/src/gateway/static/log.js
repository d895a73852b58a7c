// The log: one line per fact, and what the cluster's controllers logged between them. Lines wait until the next frame and
// go in together, in the order in which they were said; only the newest are kept in the page.

import { $, h, clock } from "./dom.js";

const KEPT = 5000;
const BAD = /failed|refused|degraded|stalled|diverged|rejected|interrupted/;
const GOOD = /ready|passed|applied|converged|delegated|handed-over|enrolled|bootstrapped/;
const SOURCES = ["sovereign", "dns", "tofu", "node", "flux", "hr", "probe", "source-controller", "kustomize-controller", "helm-controller"];

export function words(data) {
  const { trouble } = data;
  return [
    data.component && `${data.component} ${data.version || ""}`.trim(), data.address && `${data.address} ${data.state} ${data.done ?? ""}/${data.total ?? ""}`,
    data.server && data.stage && `${data.server} ${data.stage} ${data.state}`, data.kind && data.name && `${data.kind} ${data.name} ${data.state ?? ""}`,
    data.blocked_by && `waits for ${data.blocked_by}`, data.reason, data.message, data.zone,
    data.add !== undefined && `${data.add} to add, ${data.change} to change, ${data.destroy} to destroy`,
    data.urls && data.urls.map((one) => one.url).join(" "), data.log?.length && data.log.slice(-3).join(" | "),
    trouble && `${trouble.attempted}, on ${trouble.on}: ${trouble.message || trouble.code}. ${trouble.next_step}`,
  ].filter(Boolean).join(" · ");
}

export class Log {
  constructor() {
    this.lines = h("div", { class: "log", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Facts and log lines" });
    this.text = h("input", { type: "search", id: "log-search", placeholder: "Search the log ( / )", oninput: () => this.refilter() });
    this.source = h("select", { id: "log-source", onchange: () => this.refilter() }, h("option", { value: "" }, "every source"), SOURCES.map((name) => h("option", {}, name)));
    this.level = h("select", { id: "log-level", onchange: () => this.refilter() }, h("option", { value: "" }, "everything"), h("option", { value: "bad" }, "trouble only"));
    this.pause = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => this.hold(this.pause.getAttribute("aria-pressed") !== "true") }, "Pause");
    this.held = h("span", { class: "hint", role: "status" });
    this.waiting = [];
    this.known = new Set();
    this.paused = false;
    this.lines.addEventListener("scroll", () => { if (!this.paused && !this.atEnd()) this.hold(true); else if (this.paused && this.byScroll && this.atEnd()) this.hold(false); });
  }

  atEnd() { return this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 30; }

  hold(paused) {
    this.byScroll = paused && !this.atEnd();
    this.paused = paused;
    this.pause.setAttribute("aria-pressed", String(paused));
    this.pause.textContent = paused ? "Follow" : "Pause";
    if (!paused) { this.flush(); this.lines.scrollTop = this.lines.scrollHeight; }
    this.tell();
  }

  tell() { this.held.textContent = this.paused ? `Paused; ${this.waiting.length} newer.` : ""; }

  element() {
    requestAnimationFrame(() => { ($(location.hash.slice(1)) || this.lines.lastElementChild)?.scrollIntoView({ block: "nearest" }); });
    return [h("div", { class: "bar filters" }, h("label", { for: "log-search", class: "unseen" }, "Search the log"), this.text, h("label", { for: "log-source", class: "unseen" }, "Source"), this.source,
      h("label", { for: "log-level", class: "unseen" }, "Level"), this.level, this.pause, this.held), this.lines];
  }

  clear() { this.lines.replaceChildren(); this.known.clear(); this.waiting = []; }

  // A fact that came before (a resumed connection may repeat one) is no second line.
  add(message) {
    if (this.known.has(message.id)) return;
    this.known.add(message.id);
    this.push([{ at: message.event.time, draw: () => this.line(message) }]);
  }

  // What controllers logged; when this page was too slow for all of it, how much is missing.
  addLines({ lines, dropped }) {
    const missing = dropped ? [{ at: lines[0].at, draw: () => this.spoken({ ...lines[0], text: `(${dropped} lines left out here: this page was behind)` }) }] : [];
    this.push([...missing, ...lines.map((line) => ({ at: line.at, draw: () => this.spoken(line) }))]);
  }

  push(some) {
    this.waiting.push(...some);
    if (this.paused) this.tell();
    else this.timer ||= setTimeout(() => this.flush(), 50);
  }

  line({ id, event }) {
    const fact = event.type.replace(/\.v\d+$/, "");
    const sequence = id.split("-").pop();
    const level = BAD.test(fact) ? "bad" : GOOD.test(fact) ? "good" : "";
    const line = h("p", { id: `f${sequence}`, class: level || null, "data-source": fact.split(".")[0] },
      h("a", { href: `#f${sequence}`, title: event.time }, clock(event.time), h("span", { class: "unseen" }, `, link to fact ${sequence}`)), h("b", {}, fact), h("span", {}, words(event.data)));
    return line;
  }

  spoken({ at, source, text }) {
    return h("p", { class: /\berror\b|"level":"(error|fatal)"/i.test(text) ? "bad" : "spoken", "data-source": source }, h("span", { class: "dim" }, clock(at)), h("b", {}, source), h("span", {}, text));
  }

  // In the order of time: nearly always at the end.
  put({ at, draw }) {
    const line = draw();
    line.dataset.at = at;
    line.hidden = !this.fits(line);
    let before = null;
    let last = this.lines.lastElementChild;
    while (last && last.dataset.at > at) [before, last] = [last, last.previousElementSibling];
    this.lines.insertBefore(line, before);
  }

  fits(line) {
    const wanted = this.text.value.trim().toLowerCase();
    return (!this.source.value || line.dataset.source === this.source.value) && (!this.level.value || line.className === this.level.value)
      && (!wanted || line.textContent.toLowerCase().includes(wanted));
  }

  flush() {
    this.timer = 0;
    for (const one of this.waiting.splice(0, 400)) this.put(one);
    while (this.lines.childElementCount > KEPT) this.lines.firstElementChild.remove();
    this.lines.scrollTop = this.lines.scrollHeight;
    if (this.waiting.length) this.timer = setTimeout(() => this.flush(), 16);
  }

  refilter() {
    for (const line of this.lines.children) line.hidden = !this.fits(line);
  }
}
