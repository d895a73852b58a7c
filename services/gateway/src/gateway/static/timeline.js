// Where the time went: a Gantt by phase, resource, boot stage and release, beside what a phase usually takes; and a slider
// over every fact, which asks the server for the view at that moment.

import { h, svg, since, duration, clock } from "./dom.js";

const LEFT = 190;
const WIDTH = 560;
const HEIGHT = 18;

// What has a beginning and an end only in the facts: resources and releases. Fed once per fact, in order.
export class Spans {
  constructor() { this.clear(); }

  clear() { [this.run, this.moments, this.open] = [0, [], new Map()]; }

  take(id, event) {
    const sequence = Number(id.split("-").pop());
    const fact = event.type.replace(/\.v\d+$/, "");
    this.moments.push({ sequence, time: event.time, fact });
    if (event.run > this.run) { this.run = event.run; this.open = new Map(); }
    const { data } = event;
    if (fact === "tofu.progressed") this.note(data.address, event.time, data.state === "failed" ? "failed" : /(created|updated|deleted)$/.test(data.state) ? "done" : "working");
    else if (fact.startsWith("hr.") && fact !== "hr.pending") this.note(data.component, event.time, { "hr.ready": "done", "hr.failed": "failed" }[fact] || "working");
  }

  note(name, time, state) {
    const span = this.open.get(name);
    if (!span) this.open.set(name, [name, time, state === "working" ? null : time, state]);
    else if (state === "working") [span[2], span[3]] = [null, state];
    else [span[2], span[3]] = [time, state];
  }

  // Those that had begun by a moment.
  until(last) {
    const over = Date.parse(last);
    return [...this.open.values()].filter(([, from]) => Date.parse(from) <= over)
      .map(([name, from, to, state]) => (to && Date.parse(to) <= over ? [name, from, to, state] : [name, from, null, "working"]));
  }
}

function gantt(bands, last, usual) {
  const start = Math.min(...bands.map(([, from]) => Date.parse(from)));
  const end = Math.max(start + 1000, ...bands.map(([, , to]) => Date.parse(to || last)));
  const at = (moment) => LEFT + ((Date.parse(moment) - start) / (end - start)) * WIDTH;
  const wide = (seconds) => (seconds * 1000 * WIDTH) / (end - start);
  const rows = bands.map(([name, from, to, state], index) => {
    const y = index * HEIGHT;
    const until = to || last;
    const took = since(from, until);
    const common = usual[name];
    return svg("g", {}, svg("title", {}, `${name}: ${took}${common ? `, usually ${duration(common)}` : ""}`),
      svg("text", { x: 0, y: y + 13 }, name.length > 30 ? `${name.slice(0, 29)}…` : name),
      svg("rect", { class: "band", "data-mark": state, x: at(from), y: y + 3, width: Math.max(2, at(until) - at(from)), height: 12, rx: 3 }),
      ...(common ? [svg("rect", { class: "usual", x: at(from), y: y + 1, width: Math.min(wide(common), LEFT + WIDTH - at(from)), height: 16, rx: 3 })] : []),
      svg("text", { x: Math.min(at(until) + 5, LEFT + WIDTH + 4), y: y + 13 }, took));
  });
  return h("div", { class: "gantt" }, svg("svg", { viewBox: `0 0 ${LEFT + WIDTH + 50} ${bands.length * HEIGHT + 6}`, role: "img", "aria-label": "Time by phase, resource, boot stage and release" }, ...rows));
}

export function slider({ moments, at, travel }) {
  const index = at ? moments.findLastIndex((moment) => moment.sequence <= at) : moments.length - 1;
  const said = h("output", { for: "moment", class: "hint" });
  const tell = (moment) => { said.textContent = moment ? `${clock(moment.time)} ${moment.fact}` : ""; };
  const input = h("input", { type: "range", id: "moment", min: 0, max: Math.max(0, moments.length - 1), value: index, disabled: moments.length < 2 });
  let timer;
  input.addEventListener("input", () => {
    const moment = moments[Number(input.value)];
    tell(moment);
    input.setAttribute("aria-valuetext", said.textContent);
    clearTimeout(timer);
    timer = setTimeout(() => travel(Number(input.value) >= moments.length - 1 ? null : moment.sequence), 120);
  });
  tell(moments[index]);
  return h("div", { class: "field" }, h("label", { for: "moment" }, "Look at an earlier moment"), input, said);
}

export function timeline(view, context) {
  const bands = view.phases.filter((phase) => phase.begun_at).map((phase) => [phase.name, phase.begun_at, phase.ended_at, phase.mark]);
  const stages = view.servers.flatMap((one) => one.stages.filter((stage) => stage.begun_at).map((stage) => [`${one.name} ${stage.stage}`, stage.begun_at, stage.ended_at, stage.state === "begun" ? "working" : stage.state]));
  const all = [...bands, ...stages, ...context.spans.until(view.last_at)];
  if (!all.length) return h("p", { class: "hint" }, "Nothing has begun yet.");
  const known = Object.keys(context.usual).length;
  return [gantt(all, view.last_at, context.usual), known ? h("p", { class: "hint" }, "Dashed: what the phase usually takes (median of earlier Sovereigns).") : null];
}
