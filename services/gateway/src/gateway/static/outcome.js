// What somebody has to act on, and, at the end, what now: addresses, first login, the checklist of day one.

import { h, mark, copyButton, clock } from "./dom.js";
import { toPaste } from "./names.js";

const OPENBAO = "kubectl --namespace openbao exec --stdin --tty openbao-0 -- bao operator init";
// What is to be done, and the component without which there is nothing to do.
const DAY_ONE = [
  ["Configure cert-manager's issuer (Let's Encrypt production or your corporate CA)"],
  [`Open OpenBao: ${OPENBAO} shows its unseal keys once, to you alone; then unseal it`],
  ["Set SMTP in Keycloak's realm catalyst-admin, so that it can send mails"],
  ["Configure Velero's backup destination (cloud object storage)", "bp-velero"],
  ["Configure Harbor's image scanning policies and retention", "bp-harbor"],
  ["Optional: federate Keycloak to your corporate identity provider (Azure AD, Okta, Google)"],
  ["Optional: configure observability exports (Datadog, SIEM)"],
  ["Onboard your first Catalyst organization"],
  ["Create your first environment in that organization"],
  ["Install your first application from the marketplace"],
];
const OPEN = "age --decrypt --identity ~/.ssh/sovereign_admin first-login.age";
const READ = "kubectl --namespace flux-system get secret catalyst-sovereign --output 'jsonpath={.data.KEYCLOAK_FIRST_PASSWORD}' | base64 -d";

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

function dayOne(view) {
  const there = new Set(view.releases.map((release) => release.component));
  return DAY_ONE.map(([line, component], index) => {
    const said = seen(view, index) || (component && !there.has(component) ? `${component.replace(/^bp-/, "")} was not chosen: add it first` : "");
    return h("li", { class: "mark", "data-mark": seen(view, index) ? "done" : "waiting" }, line, said ? h("span", { class: "hint" }, ` (${said})`) : "");
  });
}

// The first password was sealed on the node to the SSH key of the request: we show what we cannot read.
function firstLogin(view) {
  const how = h("p", {}, h("strong", {}, "First login: "), "open the console and sign in with the sovereign-admin's e-mail address and the first password; then set your own, of 24 characters or more.");
  if (!view.first_login) return [how, h("p", { class: "hint" }, "It was not sealed to your SSH key. Read it in the cluster: "), h("p", { class: "line" }, h("code", {}, READ), copyButton(READ))];
  return [how, h("details", { "data-key": "first", open: true }, h("summary", {}, "The first password, which only your SSH key opens"),
    h("pre", { id: "first-login" }, view.first_login), h("p", { class: "line" }, copyButton(view.first_login, "the sealed password")),
    h("p", {}, "Save it as first-login.age, then:"), h("p", { class: "line" }, h("code", {}, OPEN), copyButton(OPEN)))];
}

function ready(view, unfolded) {
  const probed = new Map(view.probes.map((probe) => [probe.host, probe]));
  const urls = view.urls.map(({ url }) => {
    const probe = probed.get(new URL(url).hostname);
    return h("li", {}, mark(probe && !probe.reason ? "done" : "waiting", ""), h("a", { href: url, rel: "noreferrer" }, url), copyButton(url),
      probe ? h("span", { class: "hint" }, ` HTTP ${probe.status}${probe.certificate_days === null ? "" : `, certificate for ${probe.certificate_days} days`}`) : "");
  });
  return h("section", { class: "card outcome" }, h("h2", {}, "Done: your Sovereign is ready"), h("ul", { class: "urls" }, urls),
    firstLogin(view),
    view.dns.mode === "pool" ? null : h("p", {}, h("strong", {}, "Your domain: "), `*.${view.fqdn} is answered by the zone that you delegated${view.load_balancer_ipv4 ? ` and leads to ${view.load_balancer_ipv4}` : ""}.`),
    view.released.length ? h("details", { "data-key": "released" }, h("summary", {}, "We hold no credentials any more: the proof"), h("ul", {}, view.released.map((what) => h("li", {}, what)))) : null,
    h("details", { "data-key": "day1", open: unfolded }, h("summary", {}, "Day-1 checklist"), h("ul", { class: "findings" }, dayOne(view))));
}

export function notices(view, { unfolded }) {
  return [
    view.waiting_for === "approval" && view.plan ? approval(view) : null,
    view.dns.state === "awaiting-delegation" ? delegation(view) : null,
    view.urls.length && ["ready", "handed-over"].includes(view.state) ? ready(view, unfolded) : null,
  ].filter(Boolean);
}
