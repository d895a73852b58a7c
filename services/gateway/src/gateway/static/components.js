// Step 5: one flat grid of cards. What a choice brings along, or takes away, stands on its button before it is pressed.

import { $, h, show, announce } from "./dom.js";

const bare = (name) => name.replace(/^bp-/, "");
const listed = (names) => names.map(bare).join(", ");

// What it asks of the servers; as much again on each server where it runs on all of them.
export function size(row) {
  const words = (need) => [need?.cpu ? `${(need.cpu / 1000).toFixed(2)} cores` : "", need?.memory ? `${need.memory} MiB` : "", need?.disk ? `${Math.round(need.disk / 1024)} GiB disk` : ""].filter(Boolean).join(", ");
  return [words(row.asks), words(row.per_node) ? `${words(row.per_node)} on each server` : ""].filter(Boolean).join(" and ");
}

export class Components {
  constructor(rows, changed) {
    this.rows = rows;
    this.changed = changed;
    this.byName = new Map(rows.map((row) => [row.name, row]));
    const recommended = rows.filter((row) => row.tier === "recommended").map((row) => row.name);
    this.chosen = new Set(recommended.flatMap((name) => [name, ...this.needs(name)]).filter((name) => this.byName.get(name)?.tier !== "mandatory"));
    this.always = false;
    this.family = "";
    $("find").addEventListener("input", () => this.draw());
    for (const tab of document.querySelectorAll("#component-tabs [role=tab]")) {
      tab.addEventListener("click", () => this.turn(tab.id === "tab-always"));
      tab.addEventListener("keydown", (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        this.turn(!this.always);
        $(this.always ? "tab-always" : "tab-choose").focus();
      });
    }
  }

  get mandatory() { return this.rows.filter((row) => row.tier === "mandatory"); }

  turn(always) {
    this.always = always;
    this.family = "";
    for (const [id, on] of [["tab-choose", !always], ["tab-always", always]]) {
      $(id).setAttribute("aria-selected", String(on));
      $(id).tabIndex = on ? 0 : -1;
    }
    $("cards").setAttribute("aria-labelledby", always ? "tab-always" : "tab-choose");
    this.draw();
  }

  needs(name, found = new Set()) {
    for (const needed of this.byName.get(name)?.depends_on || []) {
      if (found.has(needed)) continue;
      found.add(needed);
      this.needs(needed, found);
    }
    return found;
  }

  // What else changes with this one: chosen with it, or removed with it.
  cascade(row) {
    if (this.chosen.has(row.name)) return [...this.chosen].filter((name) => this.needs(name).has(row.name));
    return [...this.needs(row.name)].filter((name) => this.byName.get(name)?.tier !== "mandatory" && !this.chosen.has(name));
  }

  toggle(row) {
    const others = this.cascade(row);
    const removing = this.chosen.has(row.name);
    for (const name of [row.name, ...others]) removing ? this.chosen.delete(name) : this.chosen.add(name);
    const also = others.length ? `, and with it ${listed(others)}` : "";
    announce(`${bare(row.name)} ${removing ? "removed" : "chosen"}${also}.`);
    this.changed();
    this.draw();
    document.querySelector(`[data-component="${CSS.escape(row.name)}"] button[aria-pressed]`)?.focus();
  }

  card(row) {
    const chosen = this.chosen.has(row.name);
    const others = this.always ? [] : this.cascade(row);
    const direct = row.depends_on.length ? h("p", { class: "hint" }, `Needs ${listed(row.depends_on)}`) : null;
    const button = row.after_hand_off ? h("p", { class: "hint" }, `To be added after hand-off: it ${row.after_hand_off}.`)
      : this.always ? h("p", { class: "mark", "data-mark": "done" }, "Always included")
      : h("button", { type: "button", class: chosen ? "" : "quiet", "aria-pressed": String(chosen), onclick: () => this.toggle(row) },
        chosen ? "Selected" : "Select", h("span", { class: "unseen" }, ` ${bare(row.name)}`));
    return h("article", { "data-component": row.name, class: chosen ? "chosen" : null },
      h("h3", {}, h("a", { href: `/components/${row.name}`, target: "_blank", rel: "noopener" }, bare(row.name), h("span", { class: "unseen" }, " (page in a new tab)"))),
      h("button", { type: "button", class: "quiet chip", onclick: () => { this.family = row.family; this.draw(); } },
        row.family, h("span", { class: "unseen" }, " family")),
      h("p", {}, row.description), h("p", { class: "hint" }, size(row), row.homepage ? [" · ", h("a", { href: row.homepage, rel: "noreferrer" }, "About", h("span", { class: "unseen" }, ` ${bare(row.name)}`))] : null), direct,
      others.length ? h("p", { class: "cascade" }, chosen ? `Also removes ${listed(others)}` : `Also selects ${listed(others)}`) : null,
      button);
  }

  draw() {
    const wanted = $("find").value.trim().toLowerCase();
    const offered = this.rows.filter((row) => (row.tier === "mandatory") === this.always);
    const families = [...new Set(offered.map((row) => row.family))].sort();
    show($("families"), [families, this.family], () => ["", ...families].map((name) =>
      h("button", { type: "button", class: "quiet chip", "aria-pressed": String(name === this.family), onclick: () => { this.family = name; this.draw(); } }, name || "All families")));
    const some = offered.filter((row) => (!this.family || row.family === this.family)
      && (!wanted || `${row.name} ${row.family} ${row.description}`.toLowerCase().includes(wanted)));
    const nothing = offered.length ? "No component fits the search." : "This release of the kit offers nothing to choose: everything it has is always included.";
    show($("cards"), [some, [...this.chosen], this.always], () => (some.length ? some.map((row) => this.card(row)) : h("p", { class: "hint" }, nothing)));
    $("counted").textContent = `${this.chosen.size} chosen, ${this.mandatory.length} always included`;
  }
}
