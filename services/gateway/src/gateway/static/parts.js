// The parts of a run: each draws one tab from the view, and nothing else.

import { h, svg, show, since, duration, clock, copyButton } from "./dom.js";
import { graph } from "./graph.js";
import { decommission } from "./decommission.js";

const bare = (name) => name.split("/").pop().replace(/^bp-/, "");
const mark = (state, text) => h("span", { class: "mark", "data-mark": state }, text);
const table = (caption, heads, rows) => h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, caption),
  h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)));

function kit(view) {
  const blocking = new Set(view.releases.filter((r) => r.state !== "ready" && r.blocked_by).map((r) => bare(r.blocked_by)));
  const cells = view.releases.map((release) => h("div", { class: blocking.has(release.component) && release.state !== "ready" ? "blocking" : null },
    mark(release.state, release.component), " ", h("span", { class: "dim" }, release.version),
    h("div", { class: "hint" }, release.state, release.blocked_by ? ` ← ${bare(release.blocked_by)}` : "", " ",
      h("time", { "data-since": release.state === "ready" ? "" : release.since }, release.state === "ready" ? "" : since(release.since))),
    release.message || release.reason ? h("details", { "data-key": release.release }, h("summary", {}, release.reason || "Said"), h("pre", {}, release.message)) : null,
    release.trouble ? h("p", { class: "wrong" }, release.trouble.next_step) : null));
  const objects = view.flux.map((o) => h("tr", {}, h("td", {}, mark(o.state, `${o.kind}/${o.name}`)), h("td", {}, o.state), h("td", {}, o.reason), h("td", {}, o.message), h("td", { class: "mono" }, o.revision)));
  return [h("h2", {}, "Releases"), cells.length ? h("div", { class: "grid" }, cells) : h("p", { class: "hint" }, "The cluster has not told its releases yet."),
    view.releases.length ? h("details", { "data-key": "graph" }, h("summary", {}, "Who holds up whom"), graph(view.releases)) : null,
    objects.length ? h("details", { "data-key": "flux", open: true }, h("summary", {}, "Sources and Kustomizations"), table("Sources and Kustomizations", ["Object", "State", "Reason", "Message", "Revision"], objects)) : null];
}

function resources(view) {
  const plan = view.plan;
  const rows = view.resources.map((r) => h("tr", {}, h("td", { class: "mono" }, r.address), h("td", {}, mark(/ed$/.test(r.state) && r.state !== "failed" ? "done" : r.state === "failed" ? "failed" : "working", r.state)),
    h("td", {}, r.cloud_id), h("td", { class: "num" }, r.elapsed_s ? duration(r.elapsed_s) : "")));
  const cost = view.cost;
  return [plan ? h("p", {}, `Plan: ${plan.add} to add, ${plan.change} to change, ${plan.destroy} to destroy.`, plan.needs_approval ? ` Needs approval: ${plan.reasons.join("; ")}` : "") : null,
    plan && plan.needs_approval ? h("ul", {}, plan.changes.filter((c) => c.action !== "create").map((c) => h("li", {}, h("code", {}, c.address), ` ${c.action} ${c.reason}`))) : null,
    rows.length ? table("Cloud resources", ["Address", "State", "Id", "Took"], rows) : h("p", { class: "hint" }, "No cloud resource of this run yet."),
    cost ? h("section", {}, h("h2", {}, `€ ${cost.monthly} per month${cost.sample_prices ? " (sample prices)" : ""}`), h("ul", {}, cost.lines.map(([what, amount]) => h("li", {}, `${what}: € ${amount}`)))) : null,
    view.cloud_calls ? h("p", { class: "hint" }, `${view.cloud_calls} calls to the cloud's API.`) : null];
}

function node(view) {
  if (!view.servers.length) return h("p", { class: "hint" }, "No server yet.");
  return view.servers.map((server) => h("section", {}, h("h2", {}, server.name, " ", h("small", { class: "dim" }, [server.role, server.server_type, server.location, server.public_ipv4].filter(Boolean).join(" · "))),
    server.public_ipv4 ? h("p", { class: "hint" }, h("code", {}, `ssh root@${server.public_ipv4}`), copyButton(`ssh root@${server.public_ipv4}`)) : null,
    server.stages.length ? table(`Boot stages of ${server.name}`, ["Stage", "State", "Took", ""], server.stages.map((s) => h("tr", {},
      h("td", {}, `${s.number}. ${s.stage}`), h("td", {}, mark(s.state === "begun" ? "working" : s.state, s.state)), h("td", {}, since(s.begun_at, s.ended_at)),
      h("td", {}, s.log.length ? h("pre", {}, s.log.join("\n")) : "")))) : h("p", { class: "hint" }, "Has not reported yet.")));
}

function dns(view) {
  const d = view.dns;
  const paste = d.nameservers.map((ns) => `${view.fqdn}. NS ${ns}`).concat(d.ds.map((r) => `${view.fqdn}. DS ${r.key_tag} ${r.algorithm} ${r.digest_type} ${r.digest}`));
  return [h("dl", { class: "rows" }, h("dt", {}, "Zone"), h("dd", {}, d.zone || "none yet"), h("dt", {}, "State"), h("dd", {}, d.state), d.next_check_at ? [h("dt", {}, "Next check"), h("dd", {}, clock(d.next_check_at))] : null,
    d.seen_by !== null ? [h("dt", {}, "Resolvers"), h("dd", {}, `${d.seen_by} of ${d.asked} see it`)] : null),
    paste.length ? [h("h2", {}, "At the registrar"), h("ul", {}, paste.map((line) => h("li", {}, h("code", {}, line), copyButton(line))))] : null,
    d.servers.length ? [h("h2", {}, "Who says what"), table("Name servers", ["Side", "Server", "Verdict", "Says"], d.servers.map((s) => h("tr", {}, h("td", {}, s.side), h("td", {}, s.server), h("td", {}, mark(s.verdict === "agrees" ? "done" : "failed", s.verdict)), h("td", {}, s.said || s.nameservers.join(" ")))))] : null,
    view.probes.length ? [h("h2", {}, "Addresses and certificates"), table("Addresses", ["Host", "Answers", "Certificate", "Why"], view.probes.map((p) => h("tr", {}, h("td", {}, mark(p.reason ? "failed" : "done", p.host)), h("td", {}, p.status ?? ""),
      h("td", {}, p.issuer ? `${p.issuer}${p.staging_issuer ? " (staging)" : ""}${p.certificate_days === null ? "" : `, ${p.certificate_days} days`}` : ""), h("td", {}, p.reason))))] : null,
    d.records.length ? [h("h2", {}, "Records"), table("Records", ["Name", "Type", "TTL", "Content"], d.records.map((r) => h("tr", {}, h("td", {}, r.name), h("td", {}, r.type), h("td", { class: "num" }, r.ttl_s), h("td", { class: "mono" }, r.content.join(" ")))))] : null];
}

function timeline(view, context) {
  const bands = view.phases.filter((p) => p.begun_at).map((p) => [p.name, p.begun_at, p.ended_at, p.mark]);
  for (const server of view.servers) for (const s of server.stages) if (s.begun_at) bands.push([`${server.name} ${s.stage}`, s.begun_at, s.ended_at, s.state === "begun" ? "working" : s.state]);
  if (!bands.length) return h("p", { class: "hint" }, "Nothing has begun yet.");
  const start = Math.min(...bands.map((b) => Date.parse(b[1])));
  const end = Math.max(...bands.map((b) => Date.parse(b[2] || view.last_at)), start + 1000);
  const scale = (at) => 170 + ((Date.parse(at) - start) / (end - start)) * 520;
  const rows = bands.map(([name, from, to, state], index) => svg("g", {}, svg("title", {}, `${name}: ${since(from, to || view.last_at)}`),
    svg("text", { x: 0, y: index * 18 + 13 }, name.slice(0, 28)),
    svg("rect", { class: "band", "data-mark": state, x: scale(from), y: index * 18 + 3, width: Math.max(2, scale(to || view.last_at) - scale(from)), height: 12, rx: 3 }),
    svg("text", { x: Math.min(scale(to || view.last_at) + 4, 700), y: index * 18 + 13 }, since(from, to || view.last_at))));
  const slider = h("input", { type: "range", id: "moment", min: "1", max: String(context.newest), value: String(view.last_sequence), onchange: (event) => context.travel(Number(event.target.value) >= context.newest ? null : Number(event.target.value)) });
  return [h("div", { class: "gantt" }, svg("svg", { viewBox: `0 0 760 ${bands.length * 18 + 6}`, role: "img", "aria-label": "Time by phase and boot stage" }, ...rows)),
    h("label", { for: "moment" }, "Look at an earlier moment"), slider];
}

const DAY_1 = ["Configure cert-manager Issuer (Let's Encrypt prod or your corporate CA)", "Configure Velero backup destination (cloud object storage)", "Configure Harbor image-scanning policies and retention",
  "Federate Keycloak to your corporate IdP (optional)", "Configure observability exports (optional)", "Onboard your first Catalyst Organization", "Create your first Environment in that Organization", "Install your first Application from the marketplace"];

function notices(view) {
  const out = [];
  if (view.waiting_for === "approval" && view.plan) out.push(h("div", { class: "banner" }, h("h2", {}, "The plan waits for approval"), h("p", {}, `${view.plan.add} to add, ${view.plan.change} to change, ${view.plan.destroy} to destroy. ${view.plan.reasons.join("; ")}`)));
  if (view.dns.state === "awaiting-delegation") out.push(h("div", { class: "banner" }, h("h2", {}, "Your move: delegate the domain"), h("p", {}, "Paste the NS records (tab DNS and certificates) at your registrar; the next check comes by itself.")));
  if (view.urls.length && (view.state === "ready" || view.state === "handed-over")) {
    out.push(h("section", { class: "card" }, h("h2", {}, "What now?"),
      h("ul", {}, view.urls.map((u) => h("li", {}, mark("done", ""), h("a", { href: u.url, rel: "noreferrer" }, u.url), copyButton(u.url)))),
      h("p", {}, "First login: open the console and sign in with the sovereign-admin's e-mail address; Keycloak (realm catalyst-admin) mails a link to set the password, 24 characters or more."),
      view.released.length ? h("details", { "data-key": "released" }, h("summary", {}, "We hold no credentials any more"), h("ul", {}, view.released.map((r) => h("li", {}, r)))) : null,
      h("details", { "data-key": "day1" }, h("summary", {}, "Day-1 checklist"), h("ul", {}, DAY_1.map((line) => h("li", {}, line))))));
  }
  return out;
}

const DRAW = { kit, resources, node, dns, timeline };

export const PARTS = {
  notices,
  draw(place, tab, view, context) {
    if (tab === "decommission") { decommission(place, view, context); return; }
    const build = DRAW[tab] || kit;
    const key = { tab, releases: view.releases, flux: view.flux, resources: view.resources, plan: view.plan, servers: view.servers, dns: view.dns, probes: view.probes, phases: view.phases, cost: view.cost, at: tab === "timeline" ? view.last_sequence : 0 };
    show(place, key, () => [build(view, context)].flat(9));
  },
};
