// What exists in the cloud project, and how its servers come up.

import { h, mark, row, table, since, duration, copyButton } from "./dom.js";

const stateOf = (state) => (state === "failed" ? "failed" : /(created|updated|deleted)$/.test(state) ? "done" : "working");

export function resources(view) {
  const { plan, cost } = view;
  const rows = view.resources.map((r) => row(h("td", { class: "mono" }, r.address), mark(stateOf(r.state), r.state), r.cloud_id, h("td", { class: "num" }, r.elapsed_s ? duration(r.elapsed_s) : "")));
  const waiting = plan?.needs_approval ? plan.changes.filter((change) => change.action !== "create") : [];
  return [
    h("h2", {}, plan ? `Plan: ${plan.add} to add, ${plan.change} to change, ${plan.destroy} to destroy` : "No plan yet"),
    plan?.reasons.length ? h("p", {}, plan.reasons.join("; ")) : null,
    waiting.length ? h("ul", {}, waiting.map((change) => h("li", {}, h("code", {}, change.address), ` ${change.action} ${change.reason}`))) : null,
    rows.length ? table("Cloud resources", ["Address", "State", "Id", "Took"], rows) : h("p", { class: "hint" }, "No cloud resource of this run yet."),
    cost ? [h("h2", {}, `€ ${cost.monthly} per month${cost.sample_prices ? " (sample prices)" : ""}`),
      h("dl", { class: "rows bill field" }, cost.lines.flatMap(([what, amount]) => [h("dt", {}, what), h("dd", { class: "num" }, `€ ${amount}`)]))] : null,
    view.cloud_calls ? h("p", { class: "hint" }, `${view.cloud_calls} calls of the cloud's API.`) : null,
  ];
}

function server(one, past) {
  const login = `ssh root@${one.public_ipv4}`;
  const stages = one.stages.map((s) => row(`${s.number}. ${s.stage}`, mark(s.state === "begun" ? "working" : s.state, s.state),
    h("td", { class: "num" }, h("time", { "data-since": s.state === "begun" && !past ? s.begun_at : null }, since(s.begun_at, s.ended_at))),
    s.log.length ? h("details", { open: s.state === "failed", "data-key": `${one.name}${s.stage}` }, h("summary", {}, "Last lines"), h("pre", {}, s.log.join("\n"))) : ""));
  return h("section", {},
    h("h2", {}, one.name, " ", h("small", { class: "dim" }, [one.role, one.server_type, one.location, one.public_ipv4].filter(Boolean).join(" · "))),
    one.public_ipv4 ? h("p", { class: "line" }, h("code", {}, login), copyButton(login)) : null,
    stages.length ? table(`Boot stages of ${one.name}`, ["Stage", "State", "Took", "Said"], stages) : h("p", { class: "hint" }, "Has not reported yet."));
}

export function node(view, { past }) {
  return view.servers.length ? view.servers.map((one) => server(one, past)) : h("p", { class: "hint" }, "No server yet.");
}
