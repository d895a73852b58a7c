// The socket: subscribes, resumes after every break where it was, and says how the connection is.
// "Nothing new" (heartbeats come) and "connection lost" (they do not) are different messages.

import { clock } from "./dom.js";

export class Feed {
  // on: { event(message), view(message), live(message), log(message), heartbeat(message), problem(message), status(text) }
  constructor(subscription, on) {
    this.subscription = subscription;
    this.on = on;
    this.last = subscription.from ?? null;
    this.lastLog = 0;
    this.tries = 0;
    this.open();
  }

  open() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket.onopen = () => {
      this.tries = 0;
      const from = this.last === null ? {} : { from: this.last };
      const logs = this.lastLog ? { logs_from: this.lastLog } : {};
      this.socket.send(JSON.stringify({ type: "subscribe", ...this.subscription, ...from, ...logs }));
    };
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    this.socket.onclose = () => this.retry();
  }

  take(message) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket.close(), 35000);
    if (message.id) this.last = message.id;
    if (message.type === "log") this.lastLog = message.lines.at(-1)?.id ?? this.lastLog;
    if (message.type === "heartbeat") {
      const alive = Object.entries(message.services);
      const missing = alive.filter(([, count]) => count === 0).map(([name]) => name);
      const newest = message.last_fact_at ? `Nothing new since ${clock(message.last_fact_at)}` : "Nothing new yet";
      const health = alive.length === 0 ? "services unknown" : missing.length ? `not running: ${missing.join(", ")}` : "all services alive";
      this.on.status?.(`${newest}, ${health}.`);
    } else if (message.type === "event") this.on.status?.(`Live. Last fact ${clock(message.event.time)}.`);
    else if (message.type === "problem" && message.problem.code === "resume-unknown") { this.last = 0; this.on.restart?.(); this.socket.close(); return; }
    this.on[message.type]?.(message);
  }

  retry() {
    clearTimeout(this.silence);
    this.tries += 1;
    let left = Math.min(15, this.tries * 2 - 1);
    const tick = () => {
      if (left <= 0) { this.open(); return; }
      this.on.status?.(`Connection lost, retrying in ${left} s; nothing is missed.`);
      left -= 1;
      setTimeout(tick, 1000);
    };
    tick();
  }
}
