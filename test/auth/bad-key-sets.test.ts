import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger } from "@micro-es/runtime";
import { jwtAuth } from "@micro-es/runtime/auth";
import { afterEach, expect, test } from "vitest";
import { issuedKey, TokenIssuer } from "../support/token-issuer.ts";

const issuer = new TokenIssuer();
const peer = { address: "127.0.0.1:1", transport: "tcp" };
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

/** An issuer on this machine; counts its requests. */
async function served(respond: (response: ServerResponse) => void) {
  const server = createServer((_, response) => {
    it.requests++;
    it.respond(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  const { port } = server.address() as AddressInfo;
  const it = { url: `http://127.0.0.1:${port}/jwks`, requests: 0, respond };
  return it;
}

const keySet = (response: ServerResponse) =>
  void response.end(JSON.stringify({ keys: issuer.jwks }));

const faults: Record<string, (response: ServerResponse, trap: string) => void> = {
  "does not respond": () => undefined,
  "sends 10 MB": (response) => void response.end(`{"keys":[${" ".repeat(10_000_000)}]}`),
  "sends HTML": (response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<html><h1>Sign in</h1></html>");
  },
  "redirects to an address of cloud metadata": (response) => {
    response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" }).end();
  },
  "redirects to a key set of another": (response, trap) => {
    response.writeHead(302, { location: trap }).end();
  },
  "breaks off": (response) => {
    response.writeHead(200, { "content-length": 100 }).write("{");
    setImmediate(() => response.destroy());
  },
  fails: (response) => {
    response.writeHead(500).end();
  },
};

test.each(Object.entries(faults))(
  "while the server of the keys %s, the known keys serve, and no others",
  async (_, fault) => {
    const stranger = issuedKey("EdDSA", "stranger");
    const trap = await served((response) => response.end(JSON.stringify({ keys: [stranger.jwk] })));
    const origin = await served(keySet);
    const { issuer: name, audience } = issuer;
    const auth = jwtAuth({
      ...{ issuer: name, audience, jwks: origin.url, refreshMs: 1_000 },
      logger: silentLogger,
    });
    open.push(auth);
    const inspect = (token: string) => auth.inspect({ scheme: "bearer", token }, peer);
    await auth.open?.();
    origin.respond = (response) => fault(response, trap.url);
    const before = origin.requests;
    await expect.poll(() => origin.requests, { timeout: 10_000 }).toBeGreaterThan(before);
    expect(await inspect(issuer.token())).toMatchObject({ id: "user:ada" });
    const asked = origin.requests;
    const unknown = Array.from({ length: 200 }, (_, index) =>
      inspect(issuer.token({ header: { kid: `unknown-${index}` } })),
    );
    const forged = inspect(issuer.token({ key: stranger }));
    for (const { status, reason } of (await Promise.allSettled([...unknown, forged])) as {
      status: string;
      reason?: unknown;
    }[]) {
      expect(status).toBe("rejected");
      expect(reason).toMatchObject({ code: "unauthenticated" });
    }
    // A read that is due anyway may fall into this time.
    expect(origin.requests - asked).toBeLessThanOrEqual(2);
    expect(trap.requests).toBe(0);
    expect(await inspect(issuer.token())).toMatchObject({ id: "user:ada" });
  },
);
