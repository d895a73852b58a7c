// Decommission: what will go, a typed confirmation, then the list empties as facts arrive.

import { h, show, announce, copyButton } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";
import { seal, maySeal } from "./seal.js";

const EXPORT = "kubectl --namespace openbao exec openbao-0 -- tar --create --gzip --file - /openbao/data > openbao-data.tar.gz";
const WORDS = { decommission: "Decommission", reprovision: "Reprovision" };
const STEPS = [["flux", "The watch has ended", (v) => v.released.length > 0 || ["withdrawn", "released"].includes(v.dns.state)], ["dns", "No name points there any more", (v) => ["withdrawn", "released"].includes(v.dns.state)],
  ["cloud", "The cloud is empty", (v) => v.gone.length > 0 || v.state === "decommissioned"], ["name", (v) => v.reprovisioning ? "The name is kept, the next life begins" : "The name is free", (v) => v.state === "decommissioned"]];

// The signed proof lies in the fact that the cloud was seen empty; this hands it over as the file that `catalyst proof verify` reads.
async function download(sovereign) {
  const { events } = await call("GET", `/api/v1/sovereigns/${sovereign}/events?only=tofu.destroyed&limit=1000`);
  const proof = events.map(({ event }) => event.data.proof).filter(Boolean).pop();
  if (!proof) { announce("There is no proof of this one."); return; }
  const file = URL.createObjectURL(new Blob([JSON.stringify(proof, null, 2)], { type: "application/json" }));
  h("a", { href: file, download: `${sovereign}.proof.json` }).click();
  URL.revokeObjectURL(file);
}

export function decommission(place, view, { sovereign, mayOperate }) {
  const going = ["decommissioning", "decommissioned"].includes(view.state) && !view.commands.length;
  const key = ["decommission", view.state, view.gone, view.dns.state, view.released, view.commands, view.servers.map((s) => s.name), view.resources.length];
  show(place, key, () => {
    if (going) return [h("h2", {}, "What goes, in this order"), h("ul", { class: "findings" }, STEPS.map(([, text, done]) => h("li", { class: "mark", "data-mark": done(view) ? "done" : "working" }, typeof text === "string" ? text : text(view)))),
      view.gone.length ? h("details", { "data-key": "gone", open: true }, h("summary", {}, `${view.gone.length} resources were seen gone`), h("ul", {}, view.gone.map((g) => h("li", { class: "mono" }, g))),
        h("button", { type: "button", class: "quiet", onclick: () => download(sovereign) }, "Download the signed proof")) : null];
    if (!mayOperate) return h("p", { class: "hint" }, "Your role does not permit a decommission: ask an operator of your organisation.");
    if (!view.commands.includes("decommission")) return h("p", { class: "hint" }, "A decommission fits when the run has ended: cancel it first.");
    const trouble = h("div", { role: "alert" });
    const confirm = h("input", { id: "confirm", autocomplete: "off", spellcheck: "false" });
    const again = view.commands.includes("reprovision");
    const token = h("input", { id: "decommission_token", type: "password", autocomplete: "off", disabled: !maySeal });
    // A life ends with what it was given: the next one's registrar has to be opened anew.
    const registrar = again && view.dns.mode === "byo-api" ? h("input", { id: "decommission_registrar", type: "password", autocomplete: "off", disabled: !maySeal }) : null;
    return h("form", { class: "field", onsubmit: async (event) => {
      event.preventDefault();
      const what = event.submitter?.value || "decommission";
      const body = { confirm: confirm.value.trim() };
      try {
        const given = [["cloud-token", token], ["registrar-token", registrar]].filter(([, input]) => input?.value);
        if (given.length) body.secrets = await Promise.all(given.map(([purpose, input]) => seal(input.value.trim(), purpose, sovereign)));
        await call("POST", `/api/v1/sovereigns/${sovereign}/${what}`, body);
        for (const [, input] of given) input.value = "";
        announce(`${WORDS[what]}: taken.`);
      } catch (error) { refused(trouble, error); }
    } },
    h("h2", {}, "Everything of this Sovereign will be lost"),
    h("ul", {}, [`${view.servers.length} servers, load balancer, network, firewall and every disk`, `the zone ${view.dns.zone || view.fqdn} and every name in it`, "OpenBao's state: we hold no credential for it and cannot export it"].map((line) => h("li", {}, line))),
    view.releases.some((release) => release.release === "bp-openbao") ? [h("p", {}, "To keep it, export it first; it stays encrypted, and only your unseal keys open it:"), h("p", { class: "line" }, h("code", {}, EXPORT), copyButton(EXPORT)),
      h("label", { class: "choice" }, h("input", { id: "exported", type: "checkbox", required: true }), " I exported OpenBao's state, or do not need it")] : null,
    h("label", { for: "confirm" }, `Type ${view.fqdn} to confirm`), confirm,
    h("label", { for: "decommission_token" }, "Cloud API token, if the Sovereign was handed over or is to be built anew (sealed here, sent once)"), token,
    registrar ? [h("label", { for: "decommission_registrar" }, "Registrar credentials, to build it anew (sealed here, sent once)"), registrar] : null,
    again ? h("p", { class: "hint" }, "Reprovision keeps the name and its zone: once the cloud is empty, the Sovereign is built anew as it was asked for last.") : null,
    trouble, h("div", { class: "actions" }, h("button", { type: "submit", class: "bad", value: "decommission" }, WORDS.decommission),
      again ? h("button", { type: "submit", class: "bad", value: "reprovision" }, WORDS.reprovision) : null));
  });
}
