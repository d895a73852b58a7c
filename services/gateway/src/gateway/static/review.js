// Step 7: every value that was captured, what the cloud says before money is spent, and what is still wrong.

import { h, show } from "./dom.js";
import { call } from "./api.js";
import { sentence } from "./form.js";

const MARKS = { passed: "done", warning: "degraded", failed: "failed", "not-checked": "waiting" };

export const STEPS = [
  ["organisation", "Organisation"], ["topology", "Topology"], ["provider", "Provider"], ["credentials", "Credentials"],
  ["components", "Components"], ["domain", "Domain"], ["review", "Review"],
];

const named = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

function captured(body, { tokenGiven, chosen, mandatory }) {
  const { organisation: o, topology: t, domain: d } = body;
  return [
    ["organisation", [["Name", o.name], ["Industry", o.industry], ["Size", o.size], ["Headquarters", o.headquarters], ["Compliance", o.compliance.join(", ")]]],
    ["topology", [["Region", t.region], ["Control planes", `${t.control_plane_count} × ${t.control_plane_type}`], ["Workers", t.worker_count ? `${t.worker_count} × ${t.worker_type}` : "none"],
      ["Without capacity", { none: "wait and try again", type: "take another type", location: "take another location" }[t.placement_fallback]],
      ["Approval of plans", body.approve_plans === "always" ? "always" : "when something is destroyed or replaced"]]],
    ["provider", [["Cloud", "Hetzner Cloud"]]],
    ["credentials", [["Project label", body.comment], ["Cloud token", tokenGiven ? "given; sealed and sent once, with Provision" : "missing"], ["SSH public key", body.ssh_public_key, true],
      ["SSH allowed from", body.ssh_allowed_cidrs.join(", ") || "nowhere"]]],
    ["components", [["Chosen", chosen.join(", ") || "none"], ["Always included", named(mandatory, "component")]]],
    ["domain", [["Name", d.fqdn, true], ["Mode", { pool: "under our domain", "byo-manual": "own domain, NS records pasted by hand", "byo-api": `own domain, by the API of ${d.registrar || "…"}` }[d.mode]],
      ["Sovereign-admin", body.admin_email]]],
  ];
}

export function drawReview(place, body, extras, go) {
  show(place, [body, extras], () => captured(body, extras).map(([step, rows]) => h("section", { class: "captured" },
    h("h3", {}, STEPS.find(([name]) => name === step)[1], " ", h("a", { href: `/sovereigns/new/${step}`, onclick: (event) => { event.preventDefault(); go(step); } },
      "change", h("span", { class: "unseen" }, ` ${step}`))),
    h("dl", { class: "rows" }, rows.flatMap(([name, text, mono]) => [h("dt", {}, name), h("dd", { class: mono ? "mono" : null }, text || "–")])))));
}

export function drawErrors(place, errors, go) {
  show(place, errors, () => (errors.length ? h("div", { class: "banner bad" },
    h("h2", {}, `${named(errors.length, "field")} to correct`),
    h("ul", {}, errors.map((error) => {
      const [step, word] = STEPS[error.step - 1];
      return h("li", {}, h("a", { href: `/sovereigns/new/${step}`, onclick: (event) => { event.preventDefault(); go(step); } }, word),
        `: ${error.field.split(".").pop().replaceAll("_", " ")}. ${sentence(error.message)}`);
    }))) : null));
}

// What can be known before money is spent. Where nobody answers, Review says so and Provision goes on without.
export async function preflight(place, body, secrets) {
  const said = (...parts) => show(place, parts, () => parts);
  said(h("p", { class: "mark", "data-mark": "working" }, "Asking the cloud what can be known before money is spent."));
  try {
    const { organisation, topology, domain, ssh_public_key, ssh_allowed_cidrs, components } = body;
    const reply = await call("POST", "/api/v1/preflight", { organisation, topology, domain, ssh_public_key, ssh_allowed_cidrs, components, secrets });
    const failed = reply.findings.filter((finding) => finding.verdict === "failed").length;
    place.replaceChildren(
      h("p", {}, failed ? h("strong", {}, `${named(failed, "finding")} would stop the run.`) : "Nothing found that would stop the run.",
        reply.call_budget ? ` It takes about ${reply.call_budget} calls of the cloud's API.` : ""),
      reply.cost ? h("p", {}, "By your account's prices it costs ", h("strong", {}, `€ ${reply.cost.monthly} per month`), reply.cost.sample_prices ? " (sample prices)." : ".") : "",
      h("ul", { class: "findings" }, reply.findings.map((finding) => h("li", { class: "mark", "data-mark": MARKS[finding.verdict] },
        h("strong", {}, finding.check.replaceAll("-", " ")), h("span", { class: "unseen" }, `: ${finding.verdict}`), finding.detail ? ` · ${finding.detail}` : "",
        finding.trouble ? h("p", {}, h("strong", {}, "What to do: "), finding.trouble.next_step) : null))));
    return reply;
  } catch (error) {
    if (!error.problem) throw error;
    place.replaceChildren(h("p", { class: "mark", "data-mark": "waiting" }, `Not checked: ${error.problem.detail} The run checks it all again before it spends anything.`));
    return null;
  }
}
