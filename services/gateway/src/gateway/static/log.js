// The log: one line per fact. Lines wait until the next frame and go in together; only the newest are kept in the page.

import { h, clock } from "./dom.js";

const KEPT = 5000;
const BAD = /failed|refused|degraded|stalled|diverged|rejected|interrupted/;
const GOOD = /ready|passed|applied|converged|delegated|handed-over|enrolled|bootstrapped/;

export function words(event) {
  const data = event.data;
  const trouble = data.trouble ? `${data.trouble.attempted}, on ${data.trouble.on}: ${data.trouble.message || data.trouble.code}. ${data.trouble.next_step}` : "";
  const parts = [data.component && `${data.component} ${data.version || ""}`, data.address && `${data.address} ${data.state} ${data.done ?? ""}/${data.total ?? ""}`,
    data.server && data.stage && `${data.server} ${data.stage} ${data.state}`, data.kind && data.name && `${data.kind}/${data.name} ${data.state}`,
    data.blocked_by && `waits for ${data.blocked_by}`, data.reason, data.message, data.zone, trouble,
    data.add !== undefined && `${data.add} to add, ${data.change} to change, ${data.destroy} to destroy`,
    data.urls && data.urls.map((u) => u.url).join(" "), data.log && data.log.length && data.log.slice(-3).join(" | ")];
  return parts.filter(Boolean).join(" · ");
}

export class Log {
  constructor() {
    this.lines = h("div", { class: "log", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Facts" });
    this.filter = h("input", { type: "search", id: "log-search", placeholder: "Filter: dns, hr.ready, openbao", oninput: () => this.refilter() });
    this.held = h("span", { class: "hint" });
    this.waiting = [];
    this.known = new Set();
    this.wanted = "";
  }

  element() {
    requestAnimationFrame(() => { this.lines.scrollTop = this.lines.scrollHeight; });
    return [h("div", { class: "bar" }, h("label", { for: "log-search" }, "Filter"), this.filter, this.held), this.lines];
  }

  clear() { this.lines.replaceChildren(); this.known.clear(); }

  add(message) {
    if (this.known.has(message.id)) return;
    this.known.add(message.id);
    this.waiting.push(message);
    if (this.waiting.length === 1) setTimeout(() => this.flush(), 50);
  }

  line({ id, event }) {
    const fact = event.type.replace(/\.v\d+$/, "");
    const sequence = id.split("-").pop();
    const line = h("p", { id: `f${sequence}`, class: BAD.test(fact) ? "bad" : GOOD.test(fact) ? "good" : null, title: event.time },
      h("a", { href: `#f${sequence}`, "aria-label": `Link to fact ${sequence}` }, "#"), ` ${clock(event.time)} ${fact.padEnd(24)} ${words(event)}`);
    line.hidden = this.wanted !== "" && !line.textContent.toLowerCase().includes(this.wanted);
    return line;
  }

  flush() {
    const atEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 30;
    const some = this.waiting.splice(0, 400);
    this.lines.append(...some.map((message) => this.line(message)));
    while (this.lines.childElementCount > KEPT) this.lines.firstElementChild.remove();
    if (atEnd) this.lines.scrollTop = this.lines.scrollHeight;
    this.held.textContent = atEnd ? "" : "Paused: scroll down to follow.";
    if (this.waiting.length) setTimeout(() => this.flush(), 16);
  }

  refilter() {
    this.wanted = this.filter.value.trim().toLowerCase();
    for (const line of this.lines.children) line.hidden = this.wanted !== "" && !line.textContent.toLowerCase().includes(this.wanted);
  }
}
