// Can the world reach it: what parent, child and resolvers say, what to paste, and the certificates.

import { h, mark, row, table, clock, copyButton } from "./dom.js";

const SIDES = { parent: "Parent", child: "Our server", resolver: "Resolver" };
const STATES = { none: "no zone yet", reserved: "the zone is ours", published: "records are written", "awaiting-delegation": "waits for the delegation", delegated: "delegated", failed: "failed", withdrawn: "withdrawn", released: "released" };

export const toPaste = (view) => [
  ...view.dns.nameservers.map((server) => `${view.fqdn}. NS ${server}`),
  ...view.dns.ds.map((ds) => `${view.fqdn}. DS ${ds.key_tag} ${ds.algorithm} ${ds.digest_type} ${ds.digest}`),
];

const certificate = (probe) => [probe.issuer, probe.staging_issuer ? "staging" : "", probe.certificate_days === null ? "" : `${probe.certificate_days} days left`].filter(Boolean).join(", ");

export function names(view) {
  const { dns } = view;
  const lines = toPaste(view);
  const keys = [...new Set(dns.ds.map((ds) => ds.dnskey).filter(Boolean))].map((key) => `${view.fqdn}. DNSKEY ${key}`);
  const said = dns.servers.map((s) => row(SIDES[s.side], h("td", { class: "mono" }, s.server), mark(s.verdict === "agrees" ? "done" : "failed", s.verdict), s.said || s.nameservers.join(" ")));
  const probes = view.probes.map((p) => row(mark(p.reason ? "failed" : "done", p.host), p.reason ? "no" : `HTTP ${p.status}`, certificate(p), p.reason));
  const records = dns.records.map((r) => row(h("td", { class: "mono" }, r.name), r.type, h("td", { class: "num" }, r.ttl_s), h("td", { class: "mono" }, r.content.join(" "))));
  return [
    h("h2", {}, `Zone ${dns.zone || view.fqdn}: ${STATES[dns.state]}`),
    dns.seen_by !== null ? h("p", {}, `${dns.seen_by} of ${dns.asked} resolvers see it.`) : null,
    dns.next_check_at ? h("p", { class: "hint" }, `Next check at ${clock(dns.next_check_at)}, by itself.`) : null,
    lines.length ? [h("h2", {}, dns.mode === "pool" ? "What our parent zone holds" : "To paste at the registrar"), h("ul", { class: "urls" }, lines.map((line) => h("li", { class: "line" }, h("code", {}, line), copyButton(line))))] : null,
    dns.mode !== "pool" && keys.length ? [h("p", { class: "hint" }, "A registrar that asks for the key itself instead of the DS:"), h("ul", { class: "urls" }, keys.map((key) => h("li", { class: "line" }, h("code", {}, key), copyButton(key))))] : null,
    said.length ? [h("h2", {}, "Who says what"), table("Name servers", ["Side", "Server", "Verdict", "Says"], said)] : null,
    probes.length ? [h("h2", {}, "Addresses and certificates"), table("Addresses", ["Host", "Answers", "Certificate", "Why not"], probes)] : null,
    records.length ? [h("h2", {}, "Records"), table("Records", ["Name", "Type", "TTL", "Content"], records)] : null,
  ];
}
