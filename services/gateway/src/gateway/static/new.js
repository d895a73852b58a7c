// The wizard: seven steps over one request. What is typed goes to the server's draft (never a secret) and comes back with
// everything that is wrong, judged by the service that will judge the request; this page has no rule of its own.

import { $, h, show, announce, clock } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";
import { read, fill, markErrors } from "./form.js";
import { Draft, freshId } from "./draft.js";
import { Sizes, drawBill } from "./sizes.js";
import { Credentials } from "./credentials.js";
import { Components } from "./components.js";
import { Domain } from "./domain.js";
import { STEPS, drawReview, drawErrors, preflight } from "./review.js";
import { maySeal, sovereignId } from "./seal.js";

const form = $("wizard");
const names = STEPS.map(([name]) => name);
const query = new URLSearchParams(location.search);
const draftId = query.get("draft") || freshId();
const idempotencyKey = freshId();
let step = names.includes($("steps").dataset.step) ? $("steps").dataset.step : names[0];
let reached = 0; // the last step, counted from 1, that was left
let errors = [];
let catalogue;
let sizes;
let components;
let domain;
let credentials;

const address = (name) => `/sovereigns/new/${name}?draft=${draftId}`;
const body = () => ({ ...read(form), components: components ? [...components.chosen] : [] });

const draft = new Draft(draftId, {
  kept: (reply) => {
    errors = reply.errors;
    $("kept").textContent = `Draft kept ${clock(reply.changed_at)}, without secrets. A colleague can go on at this address.`;
    draw();
  },
  refused: (error) => {
    $("kept").textContent = `Not kept: ${error.problem?.detail || error} ${error.problem?.next_step || ""}`;
    if (error.problem?.errors?.length) { errors = error.problem.errors.map((e) => ({ step: names.indexOf(step) + 1, ...e })); draw(); }
  },
  conflict: () => {
    $("kept").replaceChildren("Somebody else changed this draft meanwhile. ",
      h("button", { type: "button", class: "quiet", onclick: () => location.reload() }, "Load theirs"));
  },
});

function keep() {
  draft.change(body(), Math.max(1, reached));
  sizes?.price(draw);
  draw();
}

function go(to, push = true) {
  if (!names.includes(to)) return;
  reached = Math.max(reached, names.indexOf(step) + 1, names.indexOf(to));
  step = to;
  if (push) history.pushState(null, "", address(step));
  for (const section of form.querySelectorAll("section[data-step]")) section.hidden = section.dataset.step !== step;
  const last = step === "review";
  $("provision").hidden = !last;
  $("next").hidden = last;
  $("back").disabled = step === names[0];
  $("said").replaceChildren();
  keep();
  if (push) document.querySelector(`section[data-step=${step}] h2`).focus();
  if (last) look();
}

async function look() {
  await draft.flush();
  const asked = body();
  const secrets = maySeal && asked.domain.fqdn ? await credentials.sealed(sovereignId(asked.domain.fqdn), asked.domain.mode === "byo-api") : [];
  if (errors.length === 0) await preflight($("preflight"), asked, secrets);
  else $("preflight").replaceChildren(h("p", { class: "hint" }, "The cloud is asked when every field is right."));
}

function draw() {
  const current = names.indexOf(step);
  show($("steps"), [step, reached, errors], () => STEPS.map(([name, word], index) => {
    const wrong = errors.filter((error) => error.step === index + 1).length;
    const mark = wrong ? "failed" : index === current ? "working" : index < reached ? "done" : "waiting";
    const said = wrong ? `${wrong} to correct` : index === current ? "this step" : index < reached ? "filled in" : "to do";
    return h("li", { class: "mark", "data-mark": mark, "aria-current": index === current ? "step" : null },
      h("a", { href: address(name), "data-go": name }, `${index + 1}. ${word}`), h("span", { class: wrong ? "count" : "unseen" }, ` ${said}`));
  }));
  const asked = body();
  markErrors(form, errors);
  drawErrors($("errors"), step === "review" ? errors : [], go);
  drawSummary(asked);
  components?.draw();
  if (step === "review") {
    drawReview($("review"), asked, { tokenGiven: Boolean(credentials.token), mandatory: components.mandatory.length, chosen: asked.components.map((name) => name.replace(/^bp-/, "")) }, go);
    drawBill($("review_bill"), sizes.bill);
  }
}

function drawSummary(asked) {
  const size = (name) => { const type = sizes?.type(name); return type ? ` · ${type.cores} cores, ${type.memory_gib} GiB` : ""; };
  show($("summary"), [asked.topology, asked.domain, asked.components, catalogue?.as_of], () => h("dl", { class: "rows" },
    ...[["Name", asked.domain?.fqdn || "– (step 6)"], ["Region", asked.topology.region],
      [asked.topology.control_plane_count === 1 ? "1 control plane" : `${asked.topology.control_plane_count} control planes`, `${asked.topology.control_plane_type}${size(asked.topology.control_plane_type)}`],
      [`${asked.topology.worker_count ?? "?"} worker${asked.topology.worker_count === 1 ? "" : "s"}`, asked.topology.worker_count ? `${asked.topology.worker_type}${size(asked.topology.worker_type)}` : "–"],
      ["Also", "network, firewall, load balancer, SSH key, DNS zone"],
      ["Kit", components ? `${components.mandatory.length} components, ${components.chosen.size} chosen` : ""],
    ].flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])));
  if (sizes) drawBill($("bill"), sizes.bill);
}

async function provision() {
  const button = $("provision");
  await draft.flush();
  if (errors.length || !credentials.token) {
    $("said").replaceChildren(h("p", { class: "wrong" }, errors.length ? "Correct the fields above first." : "The cloud token is missing: it is never stored, so give it again in step 4."));
    $("said").focus();
    return;
  }
  button.disabled = true;
  $("said").replaceChildren(h("p", { class: "mark", "data-mark": "working" }, "Sending the request."));
  try {
    const asked = body();
    const secrets = await credentials.sealed(sovereignId(asked.domain.fqdn), asked.domain.mode === "byo-api");
    const reply = await call("POST", "/api/v1/sovereigns", { ...asked, secrets }, { "Idempotency-Key": idempotencyKey });
    credentials.forget();
    await draft.drop();
    location.assign(`/sovereigns/${reply.sovereign}`);
  } catch (error) {
    button.disabled = false;
    refused($("said"), error);
    $("said").focus();
  }
}

form.addEventListener("submit", (event) => { event.preventDefault(); if (step === "review") provision(); else move(1); });
form.addEventListener("input", (event) => {
  if (event.target.id === "topology.region") sizes.offer();
  if (event.target.name) keep();
});
$("steps").addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (link && !event.ctrlKey && !event.metaKey) { event.preventDefault(); go(link.dataset.go); }
});
const move = (by) => go(names[names.indexOf(step) + by]);
$("next").addEventListener("click", () => move(1));
$("back").addEventListener("click", () => move(-1));
addEventListener("popstate", () => go(location.pathname.split("/")[3] || names[0], false));
addEventListener("pagehide", () => draft.flush());

async function begin() {
  try {
    catalogue = await call("GET", "/api/v1/catalogue");
    sizes = new Sizes(catalogue, () => body().topology);
    components = new Components(catalogue.components, keep);
    credentials = new Credentials(() => draw(), (live) => { $("prices_said").textContent = sizes.compare(live); sizes.offer(); });
    domain = new Domain(catalogue, keep);
    const found = query.has("draft") ? await draft.load() : null;
    if (found) {
      fill(form, found.body);
      sizes.offer();
      fill(form, found.body);
      if (found.body.components) components.chosen = new Set(found.body.components);
      [errors, reached] = [found.errors, found.step];
      announce(`Draft of ${found.changed_by} loaded.`);
    }
    domain.spread();
    history.replaceState(null, "", address(step));
    go(step, false);
    form.dataset.ready = "1";
  } catch (error) {
    refused($("said"), error);
  }
}
begin();
