import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { TestAuthority } from "../../../../test/support/certificates.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import type { Peer } from "../../call/call.ts";
import type { Auth } from "../auth.ts";
import { type JwtAuthOptions, jwtAuth } from "./jwt-auth.ts";
import { keySetAt, keySetOfIssuer } from "./key-set-origin.ts";

const servers: Server[] = [];
const auths: Auth[] = [];
const peer: Peer = { address: "127.0.0.1:1", transport: "tcp" };
const { signal } = new AbortController();

afterEach(async () => {
  for (const auth of auths.splice(0)) await auth.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener, server: Server = createServer()): Promise<string> {
  server.on("request", listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function started(options: Partial<JwtAuthOptions> & { readonly issuer: string }): Auth {
  const auth = jwtAuth({ audience: "stock", ...options });
  auths.push(auth);
  return auth;
}

async function idOf(auth: Auth, token: string): Promise<string | undefined> {
  return (await auth.inspect({ scheme: "bearer", token }, peer))?.id;
}

test("a redirect is not followed", async () => {
  let visits = 0;
  const inside = await serve((_, response) => {
    visits++;
    response.end('{"keys":[]}');
  });
  for (const status of [301, 302, 303, 307, 308]) {
    const url = await serve((_, response) => {
      response.writeHead(status, { location: `${inside}/latest/meta-data` }).end();
    });
    await expect(keySetAt(url, undefined).read(signal)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(`status ${status}`),
    });
  }
  expect(visits).toBe(0);
});

test.each<[string, RequestListener, string]>([
  ["10 MB", (_, response) => response.end(Buffer.alloc(10_000_000, 32)), "larger than"],
  [
    "10 MB in chunks",
    (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1_024, 32)));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    },
    "larger than",
  ],
  ["status 500", (_, response) => response.writeHead(500).end(), "status 500"],
  ["status 204", (_, response) => response.writeHead(204).end(), "status 204"],
  [
    "gzip",
    (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"),
    "compressed",
  ],
  [
    "a truncated response",
    (_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("{", () => response.destroy());
    },
    "cannot get",
  ],
  ["nothing", (request) => request.socket.destroy(), "cannot get"],
])("an issuer that sends %s is not waited for", async (_, listener, message) => {
  const url = await serve(listener);
  await expect(keySetAt(url, undefined).read(signal)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(message),
  });
});

test("an issuer that never responds is not waited for when it closes", async () => {
  let closed: Promise<unknown> | undefined;
  const url = await serve((request) => {
    closed = new Promise((resolve) => request.socket.once("close", resolve));
  });
  const auth = started({ issuer: "https://issuer.example", jwks: url });
  const opening = auth.open?.();
  await expect.poll(() => closed).toBeDefined();
  await auth.close();
  await opening;
  await closed;
  await expect(idOf(auth, new TokenIssuer().token())).rejects.toMatchObject({
    code: "unavailable",
  });
});

test("no connection stays open after the keys were read", async () => {
  const issuer = new TokenIssuer();
  const server = createServer();
  const url = await serve((_, response) => {
    response.end(JSON.stringify({ keys: issuer.jwks }));
  }, server);
  const auth = started({ issuer: issuer.issuer, jwks: `${url}/jwks` });
  expect(await idOf(auth, issuer.token())).toBe("user:ada");
  await expect
    .poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
    .toBe(0);
});

test("keys over TLS are read if the certificate is trusted", async () => {
  using authority = new TestAuthority();
  const identity = authority.issue({ names: ["IP:127.0.0.1"] });
  const issuer = new TokenIssuer();
  const server = createHttpsServer(identity);
  const http = await serve(
    (_, response) => {
      response.end(JSON.stringify({ keys: issuer.jwks }));
    },
    server as unknown as Server,
  );
  const jwks = http.replace("http:", "https:");
  const auth = started({ issuer: issuer.issuer, jwks, ca: authority.ca });
  expect(await idOf(auth, issuer.token())).toBe("user:ada");
  const other = started({ issuer: issuer.issuer, jwks });
  await expect(idOf(other, issuer.token())).rejects.toMatchObject({ code: "unavailable" });
});

test.each([
  "http://issuer.example/jwks",
  "http://localhost.evil.example/jwks",
  "http://127.0.0.1.evil.example/jwks",
  "http://10.0.0.1/jwks",
  "http://169.254.169.254/latest",
  "ftp://issuer.example/jwks",
  "https://user:password@issuer.example/jwks",
  "https://",
])("the keys may not be at %s", (location) => {
  const refused = expect.objectContaining({ code: "invalid_argument" });
  expect(() => keySetAt(location, undefined)).toThrow(refused);
});

test.each([["acme"], ["http://issuer.example"], ["ftp://issuer.example"]])(
  "the keys of the issuer %s cannot be discovered",
  (issuer) => {
    const options = { issuer, audience: "stock" };
    expect(() => jwtAuth(options)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  },
);

test("the keys of an OpenID provider are discovered, also when they move", async () => {
  let path = "/keys/1";
  const read: string[] = [];
  const provider = createServer();
  const url = await serve((request, response) => {
    read.push(request.url ?? "");
    const isConfiguration = request.url === "/realms/acme/.well-known/openid-configuration";
    const configuration = { issuer: `${url}/realms/acme`, jwks_uri: `${url}${path}` };
    if (!isConfiguration && request.url !== path) response.writeHead(404);
    response.end(JSON.stringify(isConfiguration ? configuration : { keys: issuer.jwks }));
  }, provider);
  const issuer = new TokenIssuer(`${url}/realms/acme`);
  const auth = started({ issuer: issuer.issuer, refreshMs: 1_000 });
  // A machine that is busy may need more than one attempt of five seconds.
  await expect.poll(() => idOf(auth, issuer.token()).catch(() => "")).toBe("user:ada");
  path = "/keys/2";
  await expect.poll(() => read).toContain("/keys/2");
  await expect.poll(() => auth.state).toBe("healthy");
});

test.each<[string, (url: string) => string]>([
  ["of another issuer", (url) => JSON.stringify({ issuer: "https://x.example", jwks_uri: url })],
  ["without keys", (url) => JSON.stringify({ issuer: url })],
  ["that repeats a name", (url) => `{"issuer":"${url}","issuer":"${url}","jwks_uri":"${url}/k"}`],
  ["with keys on another machine, without TLS", (url) => configured(url, "http://10.0.0.1/keys")],
  ["with keys in a file", (url) => configured(url, "file:///etc/passwd")],
  ["that is HTML", () => "<!doctype html>"],
])("a configuration %s is refused", async (_, text) => {
  let others = 0;
  const url = await serve((request, response) => {
    if (request.url !== "/.well-known/openid-configuration") others++;
    response.end(text(url));
  });
  await expect(keySetOfIssuer(url, undefined).read(signal)).rejects.toThrow();
  expect(others).toBe(0);
});

function configured(issuer: string, location: string): string {
  return JSON.stringify({ issuer, jwks_uri: location });
}

test("keys are read from a file, and a file that is too large is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "micro-jwks-"));
  try {
    const issuer = new TokenIssuer();
    const path = join(folder, "keys.json");
    await writeFile(path, JSON.stringify({ keys: issuer.jwks }));
    const auth = started({ issuer: issuer.issuer, jwks: path });
    expect(await idOf(auth, issuer.token())).toBe("user:ada");
    await writeFile(path, Buffer.alloc(256 * 1_024 + 1, 32));
    await expect(keySetAt(path, undefined).read(signal)).rejects.toThrow("larger than");
    await expect(keySetAt(folder, undefined).read(signal)).rejects.toThrow("not a file");
    await expect(keySetAt(`${path}2`, undefined).read(signal)).rejects.toThrow("ENOENT");
  } finally {
    await rm(folder, { recursive: true });
  }
});
