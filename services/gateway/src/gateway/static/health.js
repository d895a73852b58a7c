// Are the services themselves well: asked again every few seconds while the page is looked at.

import { $, h, mark, row, show, table } from "./dom.js";
import { call } from "./api.js";
import { refused } from "./shell.js";

const size = (bytes) => (bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(2)} GiB`);

function sentence({ services, streams, dead_letters: dead }) {
  const gone = services.filter((one) => !one.replicas.length).map((one) => one.name);
  const full = streams.filter((one) => one.filling_up).map((one) => one.name);
  if (gone.length) return `Not running: ${gone.join(", ")}. Runs wait for it and go on by themselves when it is back.`;
  if (full.length) return `Filling up: ${full.join(", ")}. Give it room before new requests have to wait.`;
  if (dead) return `${dead} dead letters: no retry could help. Look at them with catalyst dlq list, mend the cause, then catalyst dlq replay.`;
  return "All services are running, nothing is buried.";
}

function draw(found) {
  show($("said"), sentence(found), () => [sentence(found)]);
  show($("health"), found, () => [
    h("h2", {}, "Services"),
    table("Services", ["Service", "State", "Replicas"], found.services.map((one) => row(one.name, mark(one.replicas.length ? "done" : "failed", one.replicas.length ? "running" : "not running"), one.replicas.join(", ") || "–"))),
    h("h2", {}, "Streams"),
    table("Streams", ["Stream", "State", "Messages", "Size", "Room"], found.streams.map((one) => row(one.name, mark(one.filling_up ? "degraded" : "done", one.filling_up ? "filling up" : "has room"),
      h("td", { class: "num" }, one.messages.toLocaleString("en")), h("td", { class: "num" }, size(one.bytes)), h("td", { class: "num" }, one.limit ? `${((100 * one.bytes) / one.limit).toFixed(1)} % of ${size(one.limit)}` : "–")))),
    h("h2", {}, "Backlog"),
    table("Backlog", ["Consumer", "Waiting", "In hand", "Delivered again"], found.streams.flatMap((one) => one.consumers).map((one) => row(one.name,
      h("td", { class: "num" }, one.pending), h("td", { class: "num" }, one.ack_pending), h("td", { class: "num" }, one.redelivered)))),
  ]);
}

async function look() {
  try {
    if (!document.hidden) draw(await call("GET", "/api/v1/health"));
  } catch (error) { refused($("health"), error); }
  setTimeout(look, 5000);
}
look();
