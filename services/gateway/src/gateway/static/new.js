// The seven steps. What was typed lives in this page; secrets only in their fields, until they are sent once. Rules are
// the service's: the form sends, and every wrong field comes back at once, at its step.

import { $, h, show, announce } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./common.js";

const STEPS = [["organisation", "Organisation"], ["topology", "Topology"], ["provider", "Provider"], ["credentials", "Credentials"], ["components", "Components"], ["domain", "Domain"], ["review", "Review"]];
const KEPT = "catalyst-new-sovereign";
const form = $("wizard");
const wrong = new Map();
let catalogue = { regions: [], server_types: [], components: [], pool_domains: [] };
let chosen = new Set();
let family = "";
let always = false;
let step = $("steps").dataset.step;
const key = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();

const field = (name) => form.elements[name];
const value = (name) => (field(name)?.value ?? "").trim();
const list = (name) => value(name).split(",").map((part) => part.trim()).filter(Boolean);
const fqdn = () => (value("domain.mode") === "pool" ? ($("subdomain").value.trim() ? `${$("subdomain").value.trim()}.${$("pool_domain").value}` : "") : $("own_fqdn").value.trim()).toLowerCase();

function request() {
  const credentials = {};
  if ($("cloud_token").value) credentials.cloud_token = $("cloud_token").value.trim();
  if (value("domain.mode") === "byo-api" && $("registrar_token").value) credentials.registrar_token = $("registrar_token").value.trim();
  return {
    organisation: { name: value("organisation.name"), industry: value("organisation.industry"), size: value("organisation.size"), headquarters: value("organisation.headquarters"), compliance: list("organisation.compliance") },
    topology: { region: value("topology.region"), control_plane_count: Number(value("topology.control_plane_count")), control_plane_type: value("topology.control_plane_type"), worker_type: value("topology.worker_type"), worker_count: Number(value("topology.worker_count")), placement_fallback: value("topology.placement_fallback") },
    domain: { mode: value("domain.mode"), fqdn: fqdn(), ...(value("domain.mode") === "byo-api" ? { registrar: value("domain.registrar") || null } : {}) },
    ssh_public_key: value("ssh_public_key"), ssh_allowed_cidrs: list("ssh_allowed_cidrs"), admin_email: value("admin_email"),
    components: [...chosen], credentials,
  };
}

function keep() {
  const kept = {};
  for (const element of form.elements) if (element.name && element.type !== "password" && (element.type !== "radio" || element.checked)) kept[element.name] = element.value;
  Object.assign(kept, { subdomain: $("subdomain").value, own_fqdn: $("own_fqdn").value, pool_domain: $("pool_domain").value, components: [...chosen] });
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  for (const [name, text] of Object.entries(kept)) {
    if (name === "components") chosen = new Set(text);
    else if (field(name)) field(name).value = text;
    else if ($(name)) $(name).value = text;
  }
}

const stepOf = (name) => {
  if (name.startsWith("organisation")) return "organisation";
  if (name.startsWith("topology")) return "topology";
  if (/ssh|secret|credential|token/.test(name)) return "credentials";
  if (name.startsWith("component")) return "components";
  return "domain";
};

function go(to, push = true) {
  step = STEPS.some(([name]) => name === to) ? to : "organisation";
  if (push) history.pushState(null, "", `/sovereigns/new/${step}`);
  for (const section of form.querySelectorAll("section[data-step]")) section.hidden = section.dataset.step !== step;
  const last = step === "review";
  $("provision").hidden = !last;
  $("next").hidden = last;
  $("back").disabled = step === "organisation";
  if (last) review();
  draw();
  if (push) form.querySelector(`section[data-step=${step}] input, section[data-step=${step}] select`)?.focus();
}

function draw() {
  show($("steps"), [step, [...wrong.keys()]], () => STEPS.map(([name, word]) => {
    const bad = [...wrong.keys()].some((f) => stepOf(f) === name);
    return h("li", { class: "mark", "data-mark": bad ? "failed" : name === step ? "working" : "waiting", "aria-current": name === step ? "step" : null },
      h("a", { href: `/sovereigns/new/${name}`, "data-go": name }, word, bad ? h("span", { class: "unseen" }, " (something is wrong here)") : ""));
  }));
  const asked = request();
  $("pool").hidden = asked.domain.mode !== "pool";
  $("own").hidden = asked.domain.mode === "pool";
  $("api").hidden = asked.domain.mode !== "byo-api";
  show($("summary"), [asked.topology, asked.domain, chosen.size, catalogue.server_types.length], () => {
    const size = (name) => { const t = catalogue.server_types.find((row) => row.name === name); return t ? ` (${t.cores} cores, ${t.memory_gib} GiB)` : ""; };
    return h("dl", { class: "rows" }, h("dt", {}, "Name"), h("dd", {}, asked.domain.fqdn || "–"), h("dt", {}, "Region"), h("dd", {}, asked.topology.region),
      h("dt", {}, "Control"), h("dd", {}, `${asked.topology.control_plane_count} × ${asked.topology.control_plane_type}${size(asked.topology.control_plane_type)}`),
      h("dt", {}, "Workers"), h("dd", {}, `${asked.topology.worker_count} × ${asked.topology.worker_type}${size(asked.topology.worker_type)}`),
      h("dt", {}, "Also"), h("dd", {}, "network, firewall, SSH key, load balancer, DNS zone"), h("dt", {}, "Kit"), h("dd", {}, `${catalogue.components.filter((c) => c.tier === "mandatory").length} always included, ${chosen.size} chosen`));
  });
  cards();
}

function closure(names) {
  const all = new Map(catalogue.components.map((c) => [c.name, c]));
  const out = new Set();
  const add = (name) => { if (out.has(name)) return; out.add(name); (all.get(name)?.depends_on || []).forEach(add); };
  names.forEach(add);
  return out;
}

function toggle(component) {
  if (chosen.has(component.name)) {
    const users = [...chosen].filter((name) => name !== component.name && closure([name]).has(component.name));
    chosen.delete(component.name);
    users.forEach((name) => chosen.delete(name));
    if (users.length) announce(`Also removed, since they need it: ${users.join(", ")}`);
  } else {
    const mandatory = new Set(catalogue.components.filter((c) => c.tier === "mandatory").map((c) => c.name));
    const added = [...closure([component.name])].filter((name) => !mandatory.has(name) && !chosen.has(name));
    added.forEach((name) => chosen.add(name));
    if (added.length > 1) announce(`Also chosen, since it needs them: ${added.filter((n) => n !== component.name).join(", ")}`);
  }
  keep();
  draw();
}

function cards() {
  const wanted = $("find").value.trim().toLowerCase();
  const offered = catalogue.components.filter((c) => (c.tier === "mandatory") === always);
  const families = [...new Set(offered.map((c) => c.family))];
  show($("families"), [families, family], () => ["", ...families].map((name) => h("button", { type: "button", class: "quiet chip", "aria-pressed": String(name === family), onclick: () => { family = name; draw(); } }, name || "all")));
  const some = offered.filter((c) => (!family || c.family === family) && (!wanted || `${c.name} ${c.description}`.toLowerCase().includes(wanted)));
  show($("cards"), [some, [...chosen], always], () => some.length ? some.map((c) => h("div", {}, h("h3", {}, c.name.replace(/^bp-/, "")), h("span", { class: "chip" }, c.family),
    h("p", { class: "hint" }, c.description), c.depends_on.length ? h("p", { class: "hint" }, `Needs ${c.depends_on.map((n) => n.replace(/^bp-/, "")).join(", ")}`) : null,
    always ? h("strong", {}, "Always included") : h("button", { type: "button", class: chosen.has(c.name) ? "" : "quiet", "aria-pressed": String(chosen.has(c.name)), onclick: () => toggle(c) }, chosen.has(c.name) ? "Selected" : "Select")))
    : h("p", { class: "hint" }, always ? "Nothing here." : "Nothing to choose here: everything this release offers is always included."));
}

function review() {
  const asked = request();
  const { credentials, ...open } = asked;
  const rows = Object.entries({ ...open.organisation, ...open.topology, ...open.domain, admin_email: open.admin_email, ssh_public_key: open.ssh_public_key, ssh_allowed_cidrs: open.ssh_allowed_cidrs.join(", "), components: open.components.join(", "), "cloud token": credentials.cloud_token ? "given; sent once, sealed" : "missing" });
  $("review").replaceChildren(h("dl", { class: "rows" }, rows.flatMap(([name, text]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, String(text ?? "") || "–")])));
}

function mark() {
  for (const p of form.querySelectorAll(".wrong")) p.remove();
  for (const element of form.elements) element.removeAttribute("aria-invalid");
  for (const [name, message] of wrong) {
    const element = field(name) || $(name) || { "domain.fqdn": $(value("domain.mode") === "pool" ? "subdomain" : "own_fqdn") }[name] || (/credential|secret|token/.test(name) ? $("cloud_token") : null);
    const single = element instanceof RadioNodeList ? element[0] : element;
    if (!single) continue;
    single.setAttribute("aria-invalid", "true");
    single.insertAdjacentElement("afterend", h("p", { class: "wrong" }, message));
  }
}

let asking = 0;
async function availability() {
  const name = fqdn();
  const mine = (asking += 1);
  if (!name.includes(".")) { $("availability").textContent = ""; return; }
  try {
    const reply = await call("GET", `/api/v1/names/${encodeURIComponent(name)}?mode=${value("domain.mode")}`);
    if (mine === asking) $("availability").textContent = reply.verdict === "free" ? `${reply.fqdn} is free.` : `${reply.fqdn}: ${reply.verdict}. ${reply.reason}`;
  } catch (error) {
    if (mine === asking) $("availability").textContent = error.problem ? `${error.problem.detail} ${error.problem.next_step}` : "";
  }
}

async function provision() {
  $("provision").disabled = true;
  $("trouble").replaceChildren(h("p", { role: "status" }, "Sending the request."));
  wrong.clear();
  try {
    const reply = await call("POST", "/api/v1/sovereigns", request(), { "Idempotency-Key": key });
    sessionStorage.removeItem(KEPT);
    $("cloud_token").value = "";
    location.assign(`/sovereigns/${reply.sovereign}`);
    return;
  } catch (error) {
    refused($("trouble"), error);
    for (const e of error.problem?.errors || []) wrong.set(e.field, e.message);
    if (/token|unauthorized|forbidden|credential/.test(error.problem?.code)) wrong.set("credentials", error.problem.next_step);
    if (/fqdn/.test(error.problem?.code)) wrong.set("domain.fqdn", error.problem.next_step);
    mark();
    if (wrong.size) go(stepOf([...wrong.keys()][0])); else draw();
  }
  $("provision").disabled = false;
}

form.addEventListener("submit", (event) => { event.preventDefault(); if (step === "review") provision(); else $("next").click(); });
form.addEventListener("input", () => { keep(); draw(); });
for (const id of ["subdomain", "pool_domain", "own_fqdn"]) $(id).addEventListener("change", availability);
$("find").addEventListener("input", cards);
$("tab-choose").addEventListener("click", () => { always = false; family = ""; swap(); });
$("tab-always").addEventListener("click", () => { always = true; family = ""; swap(); });
function swap() { $("tab-choose").setAttribute("aria-selected", String(!always)); $("tab-always").setAttribute("aria-selected", String(always)); draw(); }
$("steps").addEventListener("click", (event) => { const link = event.target.closest("[data-go]"); if (link) { event.preventDefault(); go(link.dataset.go); } });
const move = (by) => go(STEPS[Math.max(0, Math.min(STEPS.length - 1, STEPS.findIndex(([name]) => name === step) + by))][0]);
$("next").addEventListener("click", () => move(1));
$("back").addEventListener("click", () => move(-1));
addEventListener("popstate", () => go(location.pathname.split("/")[3] || "organisation", false));

try {
  catalogue = await call("GET", "/api/v1/catalogue");
} catch (error) {
  refused($("trouble"), error);
}
const option = (text, label) => h("option", { value: text }, label || text);
$("topology.region").append(...catalogue.regions.map((r) => option(r.name, `${r.name} (${r.city})`)));
for (const name of ["topology.control_plane_type", "topology.worker_type"]) $(name).append(...catalogue.server_types.map((t) => option(t.name, `${t.name}: ${t.cores} cores, ${t.memory_gib} GiB, ${t.disk_gib} GB`)));
$("pool_domain").append(...catalogue.pool_domains.map((d) => option(d, `.${d}`)));
const prefer = (id, name) => { if (catalogue.server_types.some((t) => t.name === name)) $(id).value = name; };
prefer("topology.control_plane_type", "cpx22");
prefer("topology.worker_type", "cpx32");
chosen = new Set(catalogue.components.filter((c) => c.tier === "recommended").map((c) => c.name));
restore();
go(step, false);
