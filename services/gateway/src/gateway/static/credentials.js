// Step 4: the cloud token lives in its field until it is sent, sealed; it is tried as soon as it is complete.

import { $ } from "./dom.js";
import { call } from "./api.js";
import * as registrar from "./registrar.js";
import { seal, maySeal, DRAFT } from "./seal.js";

export class Credentials {
  constructor(changed, priced) {
    this.changed = changed;
    this.priced = priced;
    this.verdict = "waiting";
    if (!maySeal) {
      $("cloud_token").disabled = true;
      registrar.disable();
      $("insecure").hidden = false;
    }
    $("cloud_token").addEventListener("input", () => {
      this.say("waiting", "");
      clearTimeout(this.timer);
      if (this.token) this.timer = setTimeout(() => this.tryToken(), 400);
    });
    $("use_address")?.addEventListener("click", (event) => {
      $("ssh_allowed_cidrs").value = event.target.dataset.address;
      $("ssh_allowed_cidrs").dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  get token() { return $("cloud_token").value.trim(); }

  say(mark, text) {
    this.verdict = mark;
    $("token_said").dataset.mark = mark;
    $("token_said").textContent = text;
    this.changed();
  }

  async tryToken() {
    const token = this.token;
    this.say("working", "Trying the token, read only.");
    let mark = "failed";
    let text = "";
    try {
      const reply = await call("POST", "/api/v1/credentials/validate", { secret: await seal(token, "cloud-token", DRAFT) });
      if (reply.valid && reply.can_write) [mark, text] = ["done", "The token can read and write."];
      else text = reply.valid ? "The token can only read: make one with scope Read & Write." : `The token is not accepted. ${reply.trouble?.next_step || ""}`;
    } catch (error) {
      if (!error.problem) throw error;
      text = `${error.problem.detail} ${error.problem.next_step}`;
    }
    if (token !== this.token) return;
    this.say(mark, text);
    if (mark === "done") this.tokenHolds(token);
  }

  // What the account behind the token pays, beside the catalogue that was shown until now.
  async tokenHolds(token) {
    try {
      const reply = await call("POST", "/api/v1/prices", { secret: await seal(token, "cloud-token", DRAFT) });
      if (token === this.token) this.priced(reply);
    } catch (error) {
      if (!error.problem) throw error;
      $("prices_said").textContent = `Your account's prices could not be read: ${error.problem.detail} The bill is the catalogue's.`;
    }
  }

  // The secrets of the request, sealed for this Sovereign; none that was not given.
  async sealed(sovereign, byApi) {
    const given = [["cloud-token", this.token], ["registrar-token", byApi ? registrar.secret() : ""]];
    return Promise.all(given.filter(([, secret]) => secret).map(([purpose, secret]) => seal(secret, purpose, sovereign)));
  }

  forget() {
    $("cloud_token").value = "";
    registrar.forget();
  }
}
