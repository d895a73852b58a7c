// The commands that fit a run now. One that ends something asks again; one that lacks a secret asks for it, and seals it.

import { $, h, announce } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";
import { seal, maySeal } from "./seal.js";

const COMMANDS = {
  approve: { word: "Approve this plan", sure: "" },
  retry: { word: "Retry", sure: "" },
  reconcile: { word: "Reconcile now", sure: "" },
  cancel: { word: "Cancel this run", sure: "Yes, cancel; what exists is kept", quiet: true },
};
const NEEDS_SECRET = new Set(["credential-required", "unauthorized", "token_readonly", "forbidden"]);

async function send(name, view, secrets) {
  const body = { ...(name === "approve" ? { plan_digest: view.plan.digest } : {}), ...(secrets ? { secrets } : {}) };
  await call("POST", `/api/v1/sovereigns/${view.sovereign}/${name}`, body);
  announce(`${COMMANDS[name].word}: taken.`);
  $("answer").replaceChildren();
}

function askForToken(name, view) {
  const input = h("input", { id: "again_token", type: "password", autocomplete: "off" });
  $("answer").append(maySeal
    ? h("form", { class: "card", onsubmit: async (event) => {
      event.preventDefault();
      try {
        await send(name, view, [await seal(input.value.trim(), "cloud-token", view.sovereign)]);
      } catch (error) { refused($("answer"), error); }
    } }, h("label", { for: "again_token" }, "Cloud API token, sealed here and sent once"), input, h("div", { class: "actions" }, h("button", { type: "submit" }, COMMANDS[name].word)))
    : h("p", { class: "wrong" }, "No secret is taken over plain HTTP: open this page by HTTPS."));
  input.focus();
}

export function button(name, view) {
  const command = COMMANDS[name];
  if (!command) return null;
  let sure = !command.sure;
  return h("button", { type: "button", class: command.quiet ? "quiet" : null, onclick: async (event) => {
    const pressed = event.currentTarget;
    if (!sure) { sure = true; pressed.textContent = command.sure; return; }
    pressed.disabled = true;
    try {
      await send(name, view);
    } catch (error) {
      pressed.disabled = false;
      refused($("answer"), error);
      if (name === "retry" && NEEDS_SECRET.has(error.problem?.code)) askForToken(name, view);
    }
  } }, command.word);
}
