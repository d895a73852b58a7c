// Step 6: the name. Its availability is asked while it is typed; a registrar's token is tried, read only.

import { $, h } from "./dom.js";
import { call } from "./api.js";
import { chosen, secret, turn } from "./registrar.js";
import { seal, sovereignId, DRAFT, maySeal } from "./seal.js";

export class Domain {
  constructor(catalogue, changed) {
    this.certificates = catalogue.certificates || [];
    $("pool_domain").append(...catalogue.pool_domains.map((name) => h("option", { value: name }, `.${name}`)));
    this.changed = changed;
    this.asked = "";
    for (const id of ["subdomain", "pool_domain", "own_fqdn"]) $(id).addEventListener("input", () => this.compose());
    for (const radio of this.modes) radio.addEventListener("change", () => this.compose());
    $("admin_email").addEventListener("change", () => this.tryMail());
    $("domain.registrar").addEventListener("change", turn);
    $("registrar_check").addEventListener("click", () => this.tryRegistrar());
  }

  get modes() { return document.querySelectorAll("input[name='domain.mode']"); }
  get mode() { return [...this.modes].find((radio) => radio.checked).value; }
  get fqdn() { return $("domain.fqdn").value; }

  // From the two visible fields to the one that is sent.
  compose() {
    const pool = this.mode === "pool";
    const name = $("subdomain").value.trim();
    $("domain.fqdn").value = (pool ? (name ? `${name}.${$("pool_domain").value}` : "") : $("own_fqdn").value.trim()).toLowerCase();
    this.turn();
    this.changed();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 350);
  }

  // And back, after a draft was loaded.
  spread() {
    const pool = [...$("pool_domain").options].map((option) => option.value).find((name) => this.fqdn.endsWith(`.${name}`));
    if (this.mode === "pool" && pool) {
      $("subdomain").value = this.fqdn.slice(0, -pool.length - 1);
      $("pool_domain").value = pool;
    } else if (this.mode !== "pool") $("own_fqdn").value = this.fqdn;
    this.turn();
    this.ask();
    this.tryMail();
  }

  turn() {
    $("pool").hidden = this.mode !== "pool";
    $("own").hidden = this.mode === "pool";
    $("registrar").hidden = this.mode !== "byo-api";
    const count = this.certificates.find((one) => one.domain === $("pool_domain").value);
    const scarce = this.mode === "pool" && count && count.issued >= 0.8 * count.limit;
    $("scarce").hidden = !scarce;
    if (scarce) $("scarce").textContent = `${count.issued} certificates were issued under ${count.domain} within a week, and the CA issues ${count.limit}: yours may have to wait some days. Another domain has a limit of its own.`;
    $("manual").hidden = this.mode !== "byo-manual";
    $("domain.registrar").disabled = this.mode !== "byo-api";
    turn();
  }

  // Whether mail can reach the sovereign-admin, as far as DNS tells.
  async tryMail() {
    const said = $("mail_said");
    const address = $("admin_email").value.trim();
    if (!address.includes("@")) { said.textContent = ""; return; }
    try {
      const reply = await call("POST", "/api/v1/mail/validate", { address });
      if (address !== $("admin_email").value.trim()) return;
      said.dataset.mark = { deliverable: "done", "not-checked": "waiting" }[reply.verdict] || "failed";
      said.textContent = reply.verdict === "deliverable" ? `Mail to ${reply.domain} goes to ${reply.exchangers[0]}.`
        : reply.verdict === "not-checked" ? `Not checked: ${reply.reason}.` : `${reply.reason}. ${reply.trouble.next_step}`;
    } catch (error) {
      if (!error.problem) throw error;
      said.dataset.mark = "waiting";
      said.textContent = `Not checked: ${error.problem.detail}`;
    }
  }

  async ask() {
    const asked = `${this.mode} ${this.fqdn}`;
    if (asked === this.asked) return;
    this.asked = asked;
    const say = (mark, text) => {
      if (asked !== this.asked) return;
      $("availability").dataset.mark = mark;
      $("availability").textContent = text;
    };
    if (!this.fqdn.includes(".")) { say("waiting", ""); return; }
    say("working", `Asking whether ${this.fqdn} is free.`);
    try {
      const reply = await call("GET", `/api/v1/names/${encodeURIComponent(this.fqdn)}?mode=${this.mode}`);
      if (reply.verdict === "free") say("done", `${reply.fqdn} is free.`);
      else say("failed", `${reply.fqdn} is ${reply.verdict}. ${reply.reason}`);
    } catch (error) {
      if (!error.problem) throw error;
      say("failed", `${error.problem.detail} ${error.problem.next_step}`);
    }
  }

  async tryRegistrar() {
    const place = $("registrar_said");
    const say = (mark, text) => { place.dataset.mark = mark; place.textContent = text; };
    const registrar = chosen();
    const token = secret();
    if (!maySeal) { say("failed", "Not over plain HTTP: nothing can be sealed here."); return; }
    if (!registrar || !token || !this.fqdn) { say("failed", "Give the domain, the registrar and every part of its credentials first."); return; }
    say("working", "Asking the registrar; nothing is changed there.");
    try {
      const sealed = await seal(token, "registrar-token", this.fqdn ? sovereignId(this.fqdn) : DRAFT);
      const reply = await call("POST", `/api/v1/registrars/${registrar}/validate`, { domain: this.fqdn, secret: sealed });
      if (!reply.valid || reply.trouble) say("failed", `${reply.trouble?.message || "The registrar does not accept it."} ${reply.trouble?.next_step || ""}`);
      else say("done", `The credentials open ${reply.domain || this.fqdn}. ${reply.note || ""}`);
    } catch (error) {
      if (!error.problem) throw error;
      say("failed", `${error.problem.detail} ${error.problem.next_step}`);
    }
  }
}
