// Step 2 and the bill: what a server type has and costs, and what the whole will cost, asked of the catalogue as one chooses.

import { $, h, show } from "./dom.js";
import { call } from "./api.js";

const GROUPS = { cx: "Shared, Intel or AMD", cpx: "Shared, AMD", cax: "Shared, Arm", ccx: "Dedicated, AMD" };

export class Sizes {
  constructor(catalogue, topology) {
    this.catalogue = catalogue;
    this.topology = topology; // () => the request's topology as it stands
    this.bill = null;
    const cities = catalogue.regions.map((row) => h("option", { value: row.name }, `${row.name} · ${row.city}`));
    $("topology.region").append(...cities);
    this.offer();
  }

  type(name) { return this.catalogue.server_types.find((row) => row.name === name); }

  // The account's own prices: which of the types that are offered cost something else than the pinned catalogue says.
  compare(reply) {
    const region = $("topology.region").value;
    this.live = new Map(reply.prices.filter((price) => price.kind === "server" && price.location === region).map((price) => [price.name, Number(price.monthly).toFixed(2)]));
    this.liveRegion = region;
    const other = this.catalogue.server_types.filter((row) => this.live.has(row.name) && row.monthly && this.live.get(row.name) !== row.monthly);
    const sample = reply.sample_prices ? " (sample prices)" : "";
    if (!other.length) return `Your account pays what the catalogue says in ${region}${sample}.`;
    return `Your account pays other prices in ${region}${sample}: ${other.slice(0, 4).map((row) => `${row.name} € ${this.live.get(row.name)} instead of € ${row.monthly}`).join(", ")}${other.length > 4 ? ` and ${other.length - 4} more` : ""}. The pickers show them; Review shows the bill by your account.`;
  }

  label(row) {
    const live = this.liveRegion === $("topology.region").value && this.live.get(row.name);
    const price = live || row.monthly ? ` · € ${live || row.monthly}/month` : "";
    return `${row.name} · ${row.cores} cores · ${row.memory_gib} GiB · ${row.disk_gib} GB${price}`;
  }

  // The types that the region has; one that it lacks is shown and says so.
  offer() {
    const region = $("topology.region").value;
    for (const id of ["topology.control_plane_type", "topology.worker_type"]) {
      const picker = $(id);
      const before = picker.value || (id.includes("control") ? "cpx22" : "cpx32");
      const groups = Map.groupBy(this.catalogue.server_types, (row) => row.name.replace(/\d+$/, ""));
      picker.replaceChildren(...[...groups].map(([family, rows]) => h("optgroup", { label: GROUPS[family] || family }, rows.map((row) => {
        const here = !row.regions?.length || row.regions.includes(region);
        return h("option", { value: row.name, disabled: !here }, here ? this.label(row) : `${row.name} (not in ${region})`);
      }))));
      picker.value = before;
      if (picker.selectedOptions[0]?.disabled) picker.value = [...picker.options].find((option) => !option.disabled)?.value || "";
    }
  }

  // Ask what it costs; a later question overtakes an earlier one.
  async price(shown) {
    const topology = this.topology();
    const key = JSON.stringify(topology);
    if (this.priced === key) return;
    this.priced = key;
    try {
      const bill = await call("POST", "/api/v1/cost", { topology });
      if (this.priced === key) this.bill = bill;
    } catch (error) {
      if (this.priced === key) this.bill = null; // the field that is wrong says so itself
      if (!error.problem) throw error;
    }
    shown();
  }
}

export function drawBill(place, bill) {
  show(place, bill, () => (bill ? [
    h("p", { class: "total" }, `€ ${bill.cost.monthly} `, h("span", { class: "dim" }, "per month")),
    h("dl", { class: "rows bill" }, bill.cost.lines.flatMap(([what, amount]) => [h("dt", {}, what), h("dd", { class: "num" }, `€ ${amount}`)])),
    h("p", { class: "hint" }, `Net${bill.cost.sample_prices ? ", sample prices" : ""}, catalogue of ${bill.as_of}. € ${bill.hourly} per hour.`),
  ] : h("p", { class: "hint" }, "The bill follows when the topology is complete.")));
}
