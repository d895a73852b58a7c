// Calls to /api/v1. A refusal is thrown as a Refusal with the problem document; nobody shows an alert box.

export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

const token = () => document.querySelector("meta[name=form-token]").content;

export async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { "X-Form-Token": token(), ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal({ code: "no-connection", detail: "The gateway cannot be reached.", next_step: "Look at your network and try again; nothing was changed.", owner: "us", errors: [] });
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  let problem;
  try {
    problem = await response.json();
  } catch {
    problem = { code: "internal", detail: `HTTP ${response.status}`, next_step: "Try again.", owner: "us", errors: [] };
  }
  if (response.status === 401 && !location.pathname.startsWith("/login")) location.assign(`/login?next=${location.pathname}`);
  throw new Refusal(problem);
}
