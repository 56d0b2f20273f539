import { setImmediate as turn } from "node:timers/promises";
import { type CredentialSource, MicroError } from "@micro-es/runtime";
import { type Auth, tokenSource } from "@micro-es/runtime/auth";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { scriptedClient } from "../../../../test/support/client.ts";
import { echo } from "../../../../test/support/echo.ts";
import { errorOf } from "../../../../test/support/server.ts";
import { RenewedCredential } from "./renewed-credential.ts";

const open: { close(): unknown }[] = [];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "Date"] });
});
afterEach(async () => {
  vi.useRealTimers();
  for (const it of open.splice(0)) await it.close();
});

const target = { service: "echo", address: "memory:a", verifiedBy: undefined };

/** An issuer whose tokens are numbered and valid for 100 s. */
class Issuer {
  issued = 0;
  fails: MicroError | undefined;
  readonly grants: unknown[] = [];

  readonly token: Auth["token"] = async (grant) => {
    this.grants.push(grant);
    if (this.fails !== undefined) throw this.fails;
    this.issued++;
    return { accessToken: `token-${this.issued}`, expiresAtMs: Date.now() + 100_000, scopes: [] };
  };
}

const secret = { grant: "secret", id: "order", secret: "s3cret" } as const;
const present = async (source: CredentialSource, service = "echo") =>
  (await source.credential({ ...target, service }))?.token;

/** What a call presents; requests that it starts end before it returns. */
async function presented(source: CredentialSource) {
  const token = await present(source);
  await turn();
  return token;
}

test("a token is renewed before it ends, by one request, while the old one is presented", async () => {
  const issuer = new Issuer();
  const source = tokenSource(issuer, secret);
  const first = await Promise.all(Array.from({ length: 50 }, () => present(source)));
  expect(new Set(first)).toEqual(new Set(["token-1"]));
  vi.advanceTimersByTime(69_000);
  expect(await presented(source)).toBe("token-1");
  expect(issuer.issued).toBe(1);
  vi.advanceTimersByTime(22_000);
  const during = await Promise.all(Array.from({ length: 50 }, () => present(source)));
  expect(new Set(during)).toEqual(new Set(["token-1"]));
  await turn();
  expect(await presented(source)).toBe("token-2");
  expect(issuer.issued).toBe(2);
});

test.each([
  [0, 72_000],
  [0.999_999, 88_000],
])("renewal is spread around 80 %% of the life: %j", async (random, atMs) => {
  let requests = 0;
  const renewed = new RenewedCredential(
    async () => {
      requests++;
      return { credential: { scheme: "bearer", token: "t", services: undefined }, validMs: 1e5 };
    },
    () => random,
  );
  await renewed.get();
  vi.advanceTimersByTime(atMs - 10);
  renewed.get();
  expect(requests).toBe(1);
  vi.advanceTimersByTime(20);
  renewed.get();
  expect(requests).toBe(2);
});

test("each service gets a token of its own, unless the grant has an audience", async () => {
  const issuer = new Issuer();
  const source = tokenSource(issuer, secret);
  expect(await present(source, "stock")).toBe("token-1");
  expect(await present(source, "billing")).toBe("token-2");
  expect(await present(source, "stock")).toBe("token-1");
  expect(issuer.grants).toMatchObject([{ audience: "stock" }, { audience: "billing" }]);
  const shared = tokenSource(issuer, { ...secret, audience: ["stock", "billing"] });
  expect(await present(shared, "stock")).toBe(await present(shared, "billing"));
});

test("a refresh token is spent once, and its successor used next", async () => {
  const used: string[] = [];
  const source = tokenSource(
    {
      token: async (grant) => {
        used.push((grant as { refreshToken: string }).refreshToken);
        return {
          ...{ accessToken: `t${used.length}`, refreshToken: `r${used.length}`, scopes: [] },
          expiresAtMs: Date.now() + 100_000,
        };
      },
    },
    { grant: "refresh", refreshToken: "r0", audience: "echo" },
  );
  expect(await present(source)).toBe("t1");
  vi.advanceTimersByTime(101_000);
  expect(await present(source)).toBe("t2");
  expect(used).toEqual(["r0", "r1"]);
});

describe("while the issuer is down", () => {
  const down = new MicroError("unavailable", "no issuer", { outcome: "not-executed" });

  test("the old token serves to its end, and requests are spaced out", async () => {
    const issuer = new Issuer();
    const source = tokenSource(issuer, secret);
    await present(source);
    issuer.fails = down;
    vi.advanceTimersByTime(90_000);
    for (let second = 0; second < 9; second++) {
      expect(await presented(source)).toBe("token-1");
      vi.advanceTimersByTime(1_000);
    }
    const asked = issuer.grants.length;
    expect(asked).toBeGreaterThan(2);
    expect(asked).toBeLessThan(6);
    vi.advanceTimersByTime(60_000);
    expect(await errorOf(present(source))).toMatchObject({ code: "unavailable" });
    const error = await errorOf((async () => present(source))());
    expect(error.message).toMatch(/no issuer; the issuer is not asked again for \d+ ms/);
    issuer.fails = undefined;
    vi.advanceTimersByTime(80_000);
    expect(await present(source)).toBe("token-2");
  });

  test("calls fail without blame for the node", async () => {
    const { client, transport, selector, close } = await scriptedClient(["a"], {
      credentials: tokenSource({ token: () => Promise.reject(down) }, secret),
    });
    open.push({ close });
    const error = await errorOf(client.unary(echo.echo, {}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(error.message).toContain("no credential for echo: no issuer");
    expect(transport.calls).toEqual([]);
    const candidate = await selector.select("echo");
    expect(candidate.inFlight).toBe(1);
  });
});

describe("a server that refuses the credential", () => {
  const refused = new MicroError("unauthenticated", "the call needs a valid credential", {
    outcome: "not-executed",
  });

  async function start(credentials: CredentialSource, accepts: (token: string) => boolean) {
    const it = await scriptedClient(["a"], { credentials });
    open.push(it);
    const seen: unknown[] = [];
    it.transport.onUnary = ({ call }) => {
      const token = call.metadata?.get("authorization");
      seen.push(token);
      if (typeof token !== "string" || !accepts(token)) throw refused;
      return {};
    };
    return { ...it, seen };
  }

  test("gets another one, once", async () => {
    const { client, seen } = await start(tokenSource(new Issuer(), secret), (token) =>
      /token-[23]/.test(token),
    );
    expect((await errorOf(client.unary(echo.once, {}))).code).toBe("unauthenticated");
    expect(seen).toHaveLength(1);
    vi.advanceTimersByTime(10_000);
    await client.unary(echo.once, {});
    expect(seen.slice(1)).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test("and refuses all of them gets no more than two", async () => {
    const issuer = new Issuer();
    const { client, seen } = await start(tokenSource(issuer, secret), () => false);
    await errorOf(client.unary(echo.once, {}));
    vi.advanceTimersByTime(10_000);
    expect((await errorOf(client.unary(echo.once, {}))).code).toBe("unauthenticated");
    expect(seen).toHaveLength(3);
    expect(issuer.issued).toBe(2);
  });
});
