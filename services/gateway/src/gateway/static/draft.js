// A draft lies on the server, without secrets: its id is in the page's address, so a refresh, another device or a colleague
// goes on where it was left. One write at a time; what was typed meanwhile goes with the next.

import { call } from "./api.js";

export class Draft {
  // on: { kept(reply), refused(error), conflict() }
  constructor(id, on) {
    this.id = id;
    this.on = on;
    this.path = `/api/v1/drafts/${encodeURIComponent(id)}`;
    this.revision = 0;
    this.waiting = null;
    this.writing = null;
  }

  // The draft as it was kept; null when there is none yet.
  async load() {
    try {
      const reply = await call("GET", this.path);
      this.revision = reply.revision;
      return reply;
    } catch (error) {
      if (error.problem?.code === "unknown-draft") return null;
      throw error;
    }
  }

  // Keep it soon; many changes within a moment are one write.
  change(body, step) {
    this.waiting = { body, step };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), 300);
  }

  // Everything typed until now is kept when this ends.
  async flush() {
    clearTimeout(this.timer);
    await this.writing;
    if (!this.waiting) return;
    this.writing = this.write();
    await this.writing;
  }

  async write() {
    const wanted = this.waiting;
    this.waiting = null;
    try {
      const reply = await call("PUT", this.path, { ...wanted, revision: this.revision });
      this.revision = reply.revision;
      this.on.kept(reply);
    } catch (error) {
      if (error.problem?.code === "draft-changed") this.on.conflict();
      else {
        this.waiting ??= wanted;
        this.on.refused(error);
      }
    }
  }

  async drop() {
    clearTimeout(this.timer);
    this.waiting = null;
    await this.writing;
    await call("DELETE", this.path);
  }
}

export const freshId = () => Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");
