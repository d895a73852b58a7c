import { $ } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await call("POST", "/api/v1/session", { name: $("name").value, password: $("password").value });
    const next = new URLSearchParams(location.search).get("next") || "/sovereigns";
    location.replace(next.startsWith("/") && !next.startsWith("//") ? next : "/sovereigns");
  } catch (error) {
    refused($("trouble"), error);
  }
});
