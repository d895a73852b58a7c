// A real OpenID Connect provider on loopback, for the tests of the login: oidc-provider with one client and a few people.
// Whoever types a name here is that person: its own forms for development ask for no password.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [, , library, redirectUri] = process.argv;
const { Provider } = await import(pathToFileURL(library));
const PEOPLE = {
  grace: { preferred_username: "Grace", organisation: "Demo", roles: ["sovereign-operators", "canteen"] },
  ada: { preferred_username: "ada", organisation: "demo", roles: ["sovereign-viewers"] },
  heidi: { preferred_username: "heidi@example.org", organisation: "demo", roles: "sovereign-viewers" },
  nobody: { preferred_username: "nobody", organisation: "demo", roles: ["canteen"] },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "catalyst", client_secret: "a client's secret", redirect_uris: [redirectUri] }],
    claims: { openid: ["sub"], profile: ["preferred_username", "organisation", "roles"] },
    pkce: { required: () => true },
    findAccount: (_context, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) },
  });
  server.on("request", provider.callback());
  console.log(`issuer ${issuer}`);
});
