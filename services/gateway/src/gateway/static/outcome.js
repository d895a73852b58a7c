// What somebody has to act on, and, at the end, what now: addresses, first login, the checklist of day one.

import { h, mark, copyButton, clock } from "./dom.js";
import { toPaste } from "./names.js";

const DAY_ONE = [
  "Configure cert-manager's issuer (Let's Encrypt production or your corporate CA)",
  "Configure Velero's backup destination (cloud object storage)",
  "Configure Harbor's image scanning policies and retention",
  "Optional: federate Keycloak to your corporate identity provider (Azure AD, Okta, Google)",
  "Optional: configure observability exports (Datadog, SIEM)",
  "Onboard your first Catalyst organization",
  "Create your first environment in that organization",
  "Install your first application from the marketplace",
];

function approval(view) {
  const { plan } = view;
  return h("div", { class: "banner" }, h("h2", {}, "Your move: the plan waits for an approval"),
    h("p", {}, `${plan.add} to add, ${plan.change} to change, ${plan.destroy} to destroy. ${plan.reasons.join("; ")}`),
    h("p", {}, h("strong", {}, "What to do: "), "look at the resources below, then approve exactly this plan, or cancel."));
}

function delegation(view) {
  return h("div", { class: "banner" }, h("h2", {}, "Your move: delegate the domain to us"),
    h("p", {}, h("strong", {}, "What to do: "), "paste these records at your registrar. The next check comes by itself",
      view.dns.next_check_at ? ` at ${clock(view.dns.next_check_at)}.` : "."),
    h("ul", { class: "urls" }, toPaste(view).map((line) => h("li", { class: "line" }, h("code", {}, line), copyButton(line)))));
}

// What of the list was seen done already, in the words of what was seen.
const seen = (view, index) => {
  const certificate = view.probes.find((probe) => probe.issuer && !probe.staging_issuer);
  return index === 0 && certificate ? `seen: certificates of ${certificate.issuer}` : "";
};

function ready(view, unfolded) {
  const probed = new Map(view.probes.map((probe) => [probe.host, probe]));
  const urls = view.urls.map(({ url }) => {
    const probe = probed.get(new URL(url).hostname);
    return h("li", {}, mark(probe && !probe.reason ? "done" : "waiting", ""), h("a", { href: url, rel: "noreferrer" }, url), copyButton(url),
      probe ? h("span", { class: "hint" }, ` HTTP ${probe.status}${probe.certificate_days === null ? "" : `, certificate for ${probe.certificate_days} days`}`) : "");
  });
  return h("section", { class: "card outcome" }, h("h2", {}, "Done: your Sovereign is ready"), h("ul", { class: "urls" }, urls),
    h("p", {}, h("strong", {}, "First login: "), "open the console and sign in with the sovereign-admin's e-mail address. Keycloak (realm catalyst-admin) mails a link; set a password of 24 characters or more."),
    view.dns.mode === "pool" ? null : h("p", {}, h("strong", {}, "Your domain: "), `*.${view.fqdn} is answered by the zone that you delegated${view.load_balancer_ipv4 ? ` and leads to ${view.load_balancer_ipv4}` : ""}.`),
    view.released.length ? h("details", { "data-key": "released" }, h("summary", {}, "We hold no credentials any more: the proof"), h("ul", {}, view.released.map((what) => h("li", {}, what)))) : null,
    h("details", { "data-key": "day1", open: unfolded }, h("summary", {}, "Day-1 checklist"), h("ul", { class: "findings" }, DAY_ONE.map((line, index) =>
      h("li", { class: "mark", "data-mark": seen(view, index) ? "done" : "waiting" }, line, seen(view, index) ? h("span", { class: "hint" }, ` (${seen(view, index)})`) : "")))));
}

export function notices(view, { unfolded }) {
  return [
    view.waiting_for === "approval" && view.plan ? approval(view) : null,
    view.dns.state === "awaiting-delegation" ? delegation(view) : null,
    view.urls.length && ["ready", "handed-over"].includes(view.state) ? ready(view, unfolded) : null,
  ].filter(Boolean);
}
