import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { inspect } from "node:util";
import { type CallContext, type CredentialSource, Metadata } from "@micro-es/runtime";
import {
  type ClientSecretOptions,
  clientSecret,
  exchangeCaller,
  fileToken,
  forwardCaller,
  staticToken,
  tokenSource,
} from "@micro-es/runtime/auth";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { TestAuthority } from "../../../../test/support/certificates.ts";
import { errorOf } from "../../../../test/support/server.ts";

let folder: string;
let authority: TestAuthority;
const open: { close(): unknown }[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "micro-es-token-"));
  authority = new TestAuthority();
});
afterAll(async () => {
  authority[Symbol.dispose]();
  await rm(folder, { recursive: true });
});
afterEach(() => {
  for (const it of open.splice(0)) it.close();
});

const target = (service = "echo") => ({ service, address: "memory:a", verifiedBy: undefined });
const present = async (source: CredentialSource, service?: string) =>
  (await source.credential(target(service)))?.token;
const jwt = (claims: object) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

describe("a token in a file", () => {
  test("is read again when the file changes, and kept when it has none", async () => {
    const path = join(folder, "token");
    const replace = async (content: string) => {
      await writeFile(`${path}.new`, content);
      await rename(`${path}.new`, path);
    };
    const source = fileToken(path);
    expect((await errorOf(present(source))).message).toMatch(/cannot read a token from .*ENOENT/);
    await replace("first\n");
    expect(await present(source)).toBe("first");
    await replace("second\n");
    await expect.poll(() => present(source), { timeout: 5_000 }).toBe("second");
    await replace("secret that has spaces");
    const before = await source.credential(target());
    const refused = await errorOf(Promise.resolve(source.rejected?.(before!, {} as never)));
    expect(refused.message).toContain("not a token");
    expect(refused.message).not.toContain("secret that");
    expect(await present(source)).toBe("second");
  });

  test("that a server refuses is replaced at once if the file has another", async () => {
    const path = join(folder, "refused");
    await writeFile(path, "first");
    const source = fileToken(path);
    const first = await source.credential(target());
    expect(await source.rejected?.(first!, {} as never)).toBe(false);
    await writeFile(path, "longer than the first".replaceAll(" ", "-"));
    expect(await source.rejected?.(first!, {} as never)).toBe(true);
    expect(await present(source)).toBe("longer-than-the-first");
  });
});

describe("a client secret", () => {
  interface Seen {
    readonly path: string;
    readonly authorization: string | undefined;
    readonly body: URLSearchParams;
  }

  async function issuer(
    respond: (request: IncomingMessage, seen: Seen) => [status: number, body: unknown, to?: string],
    secure = false,
  ) {
    const seen: Seen[] = [];
    const listener: Parameters<typeof createServer>[1] = async (request, response) => {
      const body = new URLSearchParams(await readText(request));
      const one = { path: request.url ?? "", authorization: request.headers.authorization, body };
      seen.push(one);
      const [status, content, location] = respond(request, one);
      response.writeHead(status, location === undefined ? {} : { location });
      response.end(typeof content === "string" ? content : JSON.stringify(content));
    };
    const identity = authority.issue({ names: ["IP:127.0.0.1"] });
    const server = secure ? createTlsServer(identity, listener) : createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push(server);
    const { port } = server.address() as AddressInfo;
    return { url: `http${secure ? "s" : ""}://127.0.0.1:${port}`, seen };
  }

  const granted = { access_token: "granted", token_type: "Bearer", expires_in: 300 };
  const order = { id: "order", secret: "pass word+" };

  test("is sent to the token endpoint that the issuer names", async () => {
    const { url, seen } = await issuer((request) =>
      request.url?.endsWith("/openid-configuration") === true
        ? [404, ""]
        : request.method === "GET"
          ? [200, { issuer: url, token_endpoint: `${url}/token` }]
          : [200, granted],
    );
    const options = { ...order, issuer: url, audience: "per-service", scopes: ["a", "b"] };
    expect(await present(clientSecret(options), "stock")).toBe("granted");
    const [, , { authorization, body } = {} as Seen] = seen;
    expect(Buffer.from(authorization?.slice(6) ?? "", "base64").toString()).toBe(
      "order:pass+word%2B",
    );
    expect(Object.fromEntries(body)).toEqual({
      ...{ grant_type: "client_credentials", scope: "a b", audience: "stock" },
    });
  });

  test("is sent in the body where the issuer wants it there, over TLS of a private authority", async () => {
    const { url, seen } = await issuer(() => [200, granted], true);
    const options: ClientSecretOptions = {
      ...{ ...order, tokenEndpoint: `${url}/token`, ca: authority.ca },
      ...{ authentication: "post", audience: "https://api", audienceParameter: "resource" },
      services: ["echo"],
    };
    expect(await present(clientSecret(options))).toBe("granted");
    expect(Object.fromEntries(seen[0]?.body ?? [])).toMatchObject({
      ...{ client_id: "order", client_secret: "pass word+", resource: "https://api" },
    });
    const { ca: _, ...withoutCa } = options;
    expect(await errorOf(present(clientSecret(withoutCa)))).toMatchObject({ code: "unavailable" });
    expect(seen).toHaveLength(1);
  });

  test("follows no redirect, and does not appear in errors", async () => {
    const trap = await issuer(() => [200, granted]);
    const responses: [number, unknown, string?][] = [
      [302, "", trap.url],
      [307, "", trap.url],
      [401, { error: "invalid_client", error_description: "pass word+" }],
      [400, { error: "pass word+" }],
      [500, "pass word+"],
      [200, "<html>pass word+</html>"],
      [200, { ...granted, token_type: "mac" }],
      [200, { ...granted, expires_in: -1 }],
      [200, "x".repeat(100_000)],
    ];
    for (const response of responses) {
      const { url } = await issuer(() => response);
      const error = await errorOf(present(clientSecret({ ...order, tokenEndpoint: url })));
      expect(["unavailable", "unauthenticated", "failed_precondition"]).toContain(error.code);
      expect(inspect(error)).not.toMatch(/pass.?word/);
    }
    expect(trap.seen).toEqual([]);
  });

  test("is not sent without TLS to another machine", () => {
    for (const url of [
      "http://id.acme.example",
      "ftp://127.0.0.1",
      "https://u:p@id.example",
      "x",
    ]) {
      expect(() => clientSecret({ ...order, tokenEndpoint: url })).toThrow(
        /must be a URL with https/,
      );
      expect(() => clientSecret({ ...order, issuer: url })).toThrow(/must be a URL with https/);
    }
    expect(() => clientSecret(order)).toThrow(/set one of issuer and tokenEndpoint/);
  });
});

describe("the caller", () => {
  const contextOf = (token?: string) =>
    ({
      signal: new AbortController().signal,
      requestMetadata: new Metadata(
        token === undefined ? {} : { authorization: `Bearer ${token}` },
      ),
    }) as CallContext;

  test("is forwarded only to the services in the audience of its token", async () => {
    const token = jwt({ aud: ["stock", "billing"] });
    const credential = await forwardCaller(contextOf(token)).credential(target("stock"));
    expect(credential).toMatchObject({ token, services: new Set(["stock", "billing"]) });
    expect(() => forwardCaller(contextOf("opaque"))).toThrow(/does not state its audience/);
    const allowed = forwardCaller(contextOf("opaque"), { services: ["stock"] });
    expect(await present(allowed)).toBe("opaque");
    expect(await present(forwardCaller(contextOf()))).toBeUndefined();
  });

  test("is exchanged for a token for each service, once for each token", async () => {
    const grants: unknown[] = [];
    const onBehalfOf = exchangeCaller(
      {
        token: async (grant) => {
          grants.push(grant);
          return {
            ...{ accessToken: `token-${grants.length}`, scopes: [] },
            expiresAtMs: Date.now() + 60_000,
          };
        },
      },
      {
        actor: { grant: "secret", id: "order", secret: "s", audience: "issuer" },
        scopes: ["read"],
      },
    );
    expect(await present(onBehalfOf(contextOf("ada")), "stock")).toBe("token-2");
    expect(await present(onBehalfOf(contextOf("ada")), "stock")).toBe("token-2");
    expect(await present(onBehalfOf(contextOf("ada")), "billing")).toBe("token-3");
    expect(await present(onBehalfOf(contextOf("bob")), "stock")).toBe("token-4");
    expect(await present(onBehalfOf(contextOf()))).toBeUndefined();
    expect(grants).toMatchObject([
      { grant: "secret", id: "order" },
      { grant: "exchange", subjectToken: "ada", actorToken: "token-1", audience: "stock" },
      { subjectToken: "ada", actorToken: "token-1", audience: "billing", scopes: ["read"] },
      { subjectToken: "bob", audience: "stock" },
    ]);
  });
});

test("no source shows what it presents", async () => {
  const canary = "canary-4711";
  const path = join(folder, "canary");
  await writeFile(path, canary);
  const token = async () => ({ accessToken: canary, expiresAtMs: Date.now() + 1e6, scopes: [] });
  const grant = { grant: "secret", id: "a", secret: canary } as const;
  for (const source of [
    staticToken(canary),
    fileToken(path),
    tokenSource({ token }, grant),
    clientSecret({ id: "a", secret: canary, tokenEndpoint: "http://127.0.0.1:1" }),
  ]) {
    const credential = await Promise.resolve(source.credential(target())).catch(() => undefined);
    for (const it of [source, credential, { credential }]) {
      expect(inspect(it, { depth: 9, showHidden: true })).not.toContain(canary);
      expect(JSON.stringify(it) ?? "").not.toContain(canary);
    }
  }
});
