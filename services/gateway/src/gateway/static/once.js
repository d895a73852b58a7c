// The token is in the fragment, which no server and no log sees; it is taken out of the address before it is used.

import { $ } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";

const given = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
try {
  await call("POST", "/api/v1/session", { link: given.get("t") || "" });
  const next = given.get("next") || "/sovereigns";
  location.replace(next.startsWith("/") && !next.startsWith("//") ? next : "/sovereigns");
} catch (error) {
  $("say").textContent = "This link does not log in.";
  refused($("trouble"), error);
}
