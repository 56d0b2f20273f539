import { generateKeyPairSync, type JsonWebKey, randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MicroError } from "../../base/error.ts";
import { createLogger, silentLogger } from "../../base/logger.ts";
import type { Account } from "../../call/account.ts";
import { fileStore } from "../../store/file/store.ts";
import { memoryStore } from "../../store/memory/store.ts";
import type { Store } from "../../store/store.ts";
import { memorySync } from "../../sync/memory/sync.ts";
import { AdvancingClock } from "../advancing-clock.ts";
import { FailureLimit } from "./failure-limit.ts";
import { type LocalAuth, localAuth, StoreAuth } from "./local-auth.ts";
import type { LocalAuthOptions } from "./options.ts";
import { SecretHasher } from "./secret-hasher.ts";

const peer = { address: "127.0.0.1:1", transport: "tcp" };
const encoder = new TextEncoder();

function inspect(auth: LocalAuth, token: string): Promise<Account | undefined> {
  return Promise.resolve(auth.inspect({ scheme: "bearer", token }, peer));
}

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
}

/** A wall clock that is set by hand, in milliseconds from now. */
function settableClock() {
  const offset = { offsetMs: 0 };
  return Object.assign(offset, { clock: new AdvancingClock(() => Date.now() + offset.offsetMs) });
}

/** The store, until `down` is set. */
function unreliable(store: Store): { readonly store: Store; down: boolean } {
  const control = {
    down: false,
    store: new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const fails = ["watch", "list", "read", "write", "delete"].includes(String(name));
          if (fails && control.down) throw new MicroError("unavailable", "the store is down");
          return value.apply(target, args);
        };
      },
    }),
  };
  return control;
}

/** As `localAuth`, with hashes that cost less. */
function openAuth(options: LocalAuthOptions, clock = new AdvancingClock()): LocalAuth {
  return new StoreAuth(options, clock, new SecretHasher({ N: 16, r: 8, p: 1 }));
}

const options = { issuer: "acme", logger: silentLogger };

let directory: string;
let stores = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-auth-"));
});
afterAll(() => rm(directory, { recursive: true }));

const create: Record<string, () => Store> = {
  memory: () => memoryStore(),
  file: () => fileStore({ path: join(directory, `store-${stores++}`) }),
};

describe.each(Object.entries(create))("accounts and tokens in a %s store", (_name, open) => {
  test("a service gets a token for its secret, which states its account", async () => {
    await using store = open();
    await using auth = openAuth({ ...options, store });
    const account = await auth.generate("order", {
      scopes: ["stock.write"],
      claims: { team: "sales" },
    });
    expect(account).toMatchObject({ id: "order", type: "service", issuer: "acme" });
    const { secret } = account;
    const token = await auth.token({ grant: "secret", id: "order", secret });
    expect(token.refreshToken).toBeUndefined();
    const found = await inspect(auth, token.accessToken);
    expect(found).toMatchObject({ id: "order", type: "service", issuer: "acme" });
    expect([...found!.scopes]).toEqual(["stock.write"]);
    expect(found!.claims).toMatchObject({ team: "sales", aud: "acme" });
    const { exp, iat } = claimsOf(token.accessToken) as { exp: number; iat: number };
    expect(exp - iat).toBe(300);
    expect(token.expiresAtMs).toBe(exp * 1_000);
    const header = JSON.parse(
      Buffer.from(token.accessToken.split(".")[0]!, "base64url").toString(),
    );
    expect(header).toMatchObject({ alg: "EdDSA", typ: "at+jwt" });
    for await (const { key, value } of store.list()) {
      expect(`${key} ${Buffer.from(value)}`).not.toContain(secret);
      expect(`${key} ${Buffer.from(value)}`).not.toContain(token.accessToken);
    }
  });

  test("two processes know each other's accounts, keys and revocations", async () => {
    await using store = open();
    await using one = openAuth({ ...options, store });
    await using other = openAuth({ ...options, store });
    await Promise.all([one.open(), other.open()]);
    const { secret } = await one.generate("order");
    const tokens = await Promise.all(
      [one, other].map((auth) => auth.token({ grant: "secret", id: "order", secret })),
    );
    for (const { accessToken } of tokens) {
      expect((await inspect(one, accessToken))?.id).toBe("order");
      expect((await inspect(other, accessToken))?.id).toBe("order");
    }
    const account = (await inspect(other, tokens[0]!.accessToken))!;
    const ended: boolean[] = [];
    other.onRevoked((hasEnded) => ended.push(hasEnded(account)));
    const { jti } = claimsOf(tokens[0]!.accessToken);
    await one.revoke({ jti: jti as string });
    await expect.poll(() => ended, { timeout: 1_000 }).toContain(true);
    await expect(inspect(other, tokens[0]!.accessToken)).rejects.toThrow(/revoked/);
    expect((await inspect(other, tokens[1]!.accessToken))?.id).toBe("order");
    await one.revoke({ account: "order" });
    await expect
      .poll(() => inspect(other, tokens[1]!.accessToken).catch((error) => error.code))
      .toBe("unauthenticated");
  });

  test("a revoked account has no secret, and can be created again", async () => {
    await using store = open();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    await expect(auth.generate("order")).rejects.toMatchObject({ code: "already_exists" });
    const before = await auth.token({ grant: "secret", id: "order", secret });
    await auth.revoke({ account: "order" });
    await expect(auth.token({ grant: "secret", id: "order", secret })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    const { secret: second } = await auth.generate("order");
    const after = await auth.token({ grant: "secret", id: "order", secret: second });
    expect((await inspect(auth, after.accessToken))?.id).toBe("order");
    await expect(inspect(auth, before.accessToken)).rejects.toThrow(/revoked/);
    await expect(auth.revoke({ account: "missing" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("one refresh token used 1,000 times at once succeeds once, and its family ends", async () => {
    await using store = open();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("ada", { type: "user" });
    const first = await auth.token({ grant: "secret", id: "ada", secret });
    const refreshToken = first.refreshToken!;
    const uses = await Promise.allSettled(
      Array.from({ length: 1_000 }, () => auth.token({ grant: "refresh", refreshToken })),
    );
    const successes = uses.flatMap((use) => (use.status === "fulfilled" ? [use.value] : []));
    expect(successes).toHaveLength(1);
    const codes = new Set(
      uses.flatMap((use) => (use.status === "rejected" ? [use.reason.code] : [])),
    );
    expect([...codes]).toEqual(["unauthenticated"]);
    const successor = successes[0]!.refreshToken!;
    await expect(auth.token({ grant: "refresh", refreshToken: successor })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    for (const { accessToken } of [first, successes[0]!]) {
      await expect(inspect(auth, accessToken)).rejects.toThrow(/revoked/);
    }
  }, 60_000);

  test("nothing works, and nothing hangs, after the store was closed", async () => {
    const store = open();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
    await store.close();
    await expect(auth.generate("another")).rejects.toMatchObject({ code: "unavailable" });
    await expect(auth.token({ grant: "secret", id: "order", secret })).rejects.toMatchObject({
      code: "unavailable",
    });
    await expect(auth.revoke({ jti: "x" })).rejects.toMatchObject({ code: "unavailable" });
    await expect(auth.rotate()).rejects.toMatchObject({ code: "unavailable" });
    await expect.poll(() => auth.state).toBe("degraded");
    expect((await inspect(auth, accessToken))?.id).toBe("order");
  });
});

describe("secrets", () => {
  test("an unknown account and a wrong secret have one text, and cost one hash each", async () => {
    await using store = memoryStore();
    const hasher = new SecretHasher({ N: 16, r: 8, p: 1 });
    await using auth = new StoreAuth({ ...options, store }, new AdvancingClock(), hasher);
    await auth.generate("order");
    await auth.register("keyed", keyPair().publicKey);
    const errors: MicroError[] = [];
    for (const id of ["order", "missing", "keyed"]) {
      const before = hasher.runs;
      const failed = await auth.token({ grant: "secret", id, secret: "wrong" }).catch((it) => it);
      expect(hasher.runs - before).toBe(1);
      errors.push(failed);
    }
    expect(new Set(errors.map(({ code, message }) => `${code}: ${message}`))).toEqual(
      new Set(["unauthenticated: the grant is not valid"]),
    );
  });

  test("are hashed as OWASP recommends", async () => {
    await using store = memoryStore();
    await using auth = localAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    const record = (await store.read("auth/accounts/order"))!.value;
    const { secret: stored } = JSON.parse(Buffer.from(record).toString());
    expect(stored.cost).toEqual({ N: 16_384, r: 8, p: 5 });
    await auth.token({ grant: "secret", id: "order", secret });
  });

  test("are guessed five times at once, and no more, for an account that exists or not", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    await auth.generate("order");
    const { secret } = await auth.generate("stock");
    for (const id of ["order", "missing"]) {
      const attempts = Array.from({ length: 20 }, () =>
        auth.token({ grant: "secret", id, secret: "wrong" }).catch((error) => error.code),
      );
      const codes = await Promise.all(attempts);
      expect(codes.filter((code) => code === "unauthenticated")).toHaveLength(5);
      expect(codes.filter((code) => code === "resource_exhausted")).toHaveLength(15);
    }
    await auth.token({ grant: "secret", id: "stock", secret });
  });

  test("have waits that double with each failure, and end with a success", async () => {
    let now = 0;
    const limit = new FailureLimit(() => now);
    const attempt = (result: boolean) =>
      limit.attempt("order", async () => result).catch(({ retryAfterMs }) => retryAfterMs);
    for (let at = 0; at < 5; at++) expect(await attempt(false)).toBe(false);
    for (const waitMs of [1_000, 2_000, 4_000, 8_000]) {
      expect(await attempt(true)).toBe(waitMs);
      now += waitMs;
      expect(await attempt(false)).toBe(false);
    }
    expect(await attempt(true)).toBe(16_000);
    now += 16_000;
    expect(await attempt(true)).toBe(true);
    for (let at = 0; at < 4; at++) expect(await attempt(false)).toBe(false);
    now += 60_001;
    for (let at = 0; at < 4; at++) expect(await attempt(false)).toBe(false);
    expect(await attempt(true)).toBe(true);
  });

  test.each<[what: string, id: string, values: object]>([
    ["an empty id", "", {}],
    ["an id with a space", "a b", {}],
    ["an id of 129 characters", "a".repeat(129), {}],
    ["a short secret", "a", { secret: "short" }],
    ["a scope with a space", "a", { scopes: ["a b"] }],
    ["scopes as a text", "a", { scopes: "a" }],
    ["a type with a slash", "a", { type: "a/b" }],
    ["a claim of the issuer's", "a", { claims: { iss: "x" } }],
    ["too many claims", "a", { claims: { x: "y".repeat(5_000) } }],
  ])("%s is refused", async (_what, id, values) => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    await expect(auth.generate(id, values)).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("refresh tokens", () => {
  async function begin(clock = new AdvancingClock()) {
    const store = memoryStore();
    const auth = openAuth({ ...options, store }, clock);
    const scopes = ["read", "write"];
    const { secret } = await auth.generate("ada", { type: "user", scopes });
    const token = await auth.token({ grant: "secret", id: "ada", secret, audience: ["a", "acme"] });
    return { store, auth, token, refreshToken: token.refreshToken! };
  }

  test("give tokens with no more than the first one had", async () => {
    const { store, auth, refreshToken } = await begin();
    await using _store = store;
    await using _auth = auth;
    const refresh = (values: object) => auth.token({ grant: "refresh", refreshToken, ...values });
    await expect(refresh({ scopes: ["admin"] })).rejects.toMatchObject({
      code: "permission_denied",
    });
    await expect(refresh({ audience: "b" })).rejects.toMatchObject({ code: "permission_denied" });
    const token = await refresh({ scopes: ["read"], audience: "acme" });
    expect([...(await inspect(auth, token.accessToken))!.scopes]).toEqual(["read"]);
    const wide = await auth.token({ grant: "refresh", refreshToken: token.refreshToken! });
    expect(wide.scopes).toEqual(["read", "write"]);
  });

  test("end after seven days without use, and after thirty days", async () => {
    const control = settableClock();
    const { store, auth, refreshToken } = await begin(control.clock);
    await using _store = store;
    await using _auth = auth;
    const dayMs = 24 * 60 * 60 * 1_000;
    let latest = refreshToken;
    for (const day of [6, 12, 18, 24]) {
      control.offsetMs = day * dayMs;
      latest = (await auth.token({ grant: "refresh", refreshToken: latest })).refreshToken!;
    }
    control.offsetMs = 30 * dayMs;
    const refresh = auth.token({ grant: "refresh", refreshToken: latest });
    await expect(refresh).rejects.toMatchObject({ code: "unauthenticated" });

    const idle = settableClock();
    const second = await begin(idle.clock);
    await using _second = second.store;
    await using _auth2 = second.auth;
    idle.offsetMs = 7 * dayMs;
    await expect(
      second.auth.token({ grant: "refresh", refreshToken: second.refreshToken }),
    ).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("do not work as access tokens, nor the reverse", async () => {
    const { store, auth, token, refreshToken } = await begin();
    await using _store = store;
    await using _auth = auth;
    expect(await inspect(auth, refreshToken)).toBeUndefined();
    for (const text of [token.accessToken, "", "x", `${refreshToken}=`, refreshToken.slice(1)]) {
      await expect(auth.token({ grant: "refresh", refreshToken: text })).rejects.toMatchObject({
        code: "unauthenticated",
      });
    }
    for (const spelling of otherSpellings(refreshToken)) {
      await expect(auth.token({ grant: "refresh", refreshToken: spelling })).rejects.toMatchObject({
        code: "unauthenticated",
      });
    }
    await auth.token({ grant: "refresh", refreshToken });
    await expect(
      auth.token({ grant: "secret", id: "ada", secret: token.accessToken }),
    ).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("end with their family, by its id or by one of them", async () => {
    for (const by of ["id", "token"] as const) {
      const { store, auth, token, refreshToken } = await begin();
      await using _store = store;
      await using _auth = auth;
      const { sid } = claimsOf(token.accessToken);
      await auth.revoke({ refreshFamily: by === "id" ? (sid as string) : refreshToken });
      await expect(auth.token({ grant: "refresh", refreshToken })).rejects.toMatchObject({
        code: "unauthenticated",
      });
      await expect(inspect(auth, token.accessToken)).rejects.toThrow(/revoked/);
      await expect(auth.revoke({ refreshFamily: "none" })).rejects.toMatchObject({
        code: "not_found",
      });
    }
  });
});

describe("assertions", () => {
  test("prove an account that has a key of its own, once", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    const { publicKey, privateKey } = keyPair();
    await auth.register("order", publicKey, { scopes: ["stock.write"] });
    await expect(auth.register("x", privateKeyJwk())).rejects.toMatchObject({
      code: "invalid_argument",
    });
    const sign = (claims: object, key = privateKey, lifeS = 60) =>
      new SignJWT({
        iss: "order",
        sub: "order",
        aud: "acme",
        jti: String(Math.random()),
        ...claims,
      })
        .setProtectedHeader({ alg: "EdDSA" })
        .setIssuedAt()
        .setExpirationTime(`${lifeS} s`)
        .sign(key);
    const assertion = await sign({});
    const token = await auth.token({ grant: "assertion", assertion });
    expect((await inspect(auth, token.accessToken))?.id).toBe("order");
    const refused: [string, Promise<string> | string][] = [
      ["used before", assertion],
      ["another key", sign({}, keyPair().privateKey)],
      ["another audience", sign({ aud: "other" })],
      ["another subject", sign({ sub: "missing" })],
      ["another issuer", sign({ iss: "other" })],
      ["no jti", sign({ jti: undefined })],
      ["an hour long", sign({}, privateKey, 3_600)],
      ["an access token", token.accessToken],
      ["nothing", ""],
    ];
    for (const [what, text] of refused) {
      const error = await auth
        .token({ grant: "assertion", assertion: await text })
        .catch((reason) => reason);
      expect(`${what}: ${error.code}`).toBe(`${what}: unauthenticated`);
      expect(error.message).toBe("the grant is not valid");
    }
  });
});

describe("exchange", () => {
  async function setUp() {
    const store = memoryStore();
    const auth = openAuth({ ...options, store });
    const ada = await auth.generate("ada", { type: "user", scopes: ["read", "write"] });
    const order = await auth.generate("order", { scopes: ["admin"] });
    const tokenOf = async ({ id, secret }: { id: string; secret: string }) =>
      (await auth.token({ grant: "secret", id, secret })).accessToken;
    return { store, auth, subjectToken: await tokenOf(ada), actorToken: await tokenOf(order) };
  }

  test("a service acts for a user, for one audience and a short time", async () => {
    const { store, auth, subjectToken, actorToken } = await setUp();
    await using _store = store;
    await using _auth = auth;
    const token = await auth.token({
      grant: "exchange",
      subjectToken,
      actorToken,
      audience: "acme",
      scopes: ["read"],
    });
    expect(token.refreshToken).toBeUndefined();
    const account = (await inspect(auth, token.accessToken))!;
    expect(account).toMatchObject({ id: "ada", type: "user", actor: { id: "order" } });
    expect([...account.scopes]).toEqual(["read"]);
    expect(token.expiresAtMs - Date.now()).toBeLessThanOrEqual(300_000);
    const again = await auth.token({
      grant: "exchange",
      subjectToken: token.accessToken,
      actorToken,
      audience: "acme",
    });
    expect(await inspect(auth, again.accessToken)).toMatchObject({
      actor: { id: "order", actor: { id: "order" } },
    });
    await auth.revoke({ account: "ada" });
    await expect(inspect(auth, token.accessToken)).rejects.toThrow(/revoked/);
  });

  test("needs one audience, and an actor for another one", async () => {
    const { store, auth, subjectToken, actorToken } = await setUp();
    await using _store = store;
    await using _auth = auth;
    const exchange = (values: object) =>
      auth.token({ grant: "exchange", subjectToken, ...values }).then(
        () => "issued",
        ({ code }) => code,
      );
    expect(await exchange({})).toBe("invalid_argument");
    expect(await exchange({ audience: ["a", "b"] })).toBe("invalid_argument");
    expect(await exchange({ audience: "stock" })).toBe("permission_denied");
    expect(await exchange({ audience: "acme" })).toBe("issued");
    expect(await exchange({ audience: "stock", actorToken })).toBe("issued");
    expect(await exchange({ audience: "stock", actorToken, scopes: ["admin"] })).toBe(
      "permission_denied",
    );
    expect(await exchange({ audience: "stock", actorToken: "x" })).toBe("unauthenticated");
    expect(await exchange({ audience: "acme", subjectToken: "x" })).toBe("unauthenticated");
  });
});

describe("keys", () => {
  const times = { refreshMs: 40, rotationMs: 60_000 };

  test("ten rotations under load refuse no valid token", { timeout: 60_000 }, async () => {
    await using store = memoryStore();
    await using sync = memorySync();
    await using issuer = openAuth({ ...options, ...times, store, sync });
    await using other = openAuth({ ...options, ...times, store, sync });
    await using verifier = openAuth({ ...options, ...times, store });
    const { publicKey, privateKey } = keyPair();
    await issuer.register("order", publicKey);
    const token = async (auth: LocalAuth) =>
      auth.token({
        grant: "assertion",
        assertion: await new SignJWT({ iss: "order", sub: "order", aud: "acme" })
          .setJti(randomBytes(9).toString("hex"))
          .setProtectedHeader({ alg: "EdDSA" })
          .setIssuedAt()
          .setExpirationTime("60 s")
          .sign(privateKey),
      });
    const issued: string[] = [];
    const kids = new Set<unknown>();
    let running = true;
    const load = [issuer, other].map(async (auth) => {
      while (running) {
        const { accessToken } = await token(auth);
        issued.push(accessToken);
        expect((await inspect(verifier, accessToken))?.id).toBe("order");
        const header = Buffer.from(accessToken.split(".")[0]!, "base64url").toString();
        kids.add(JSON.parse(header).kid);
      }
    });
    await expect.poll(() => kids.size).toBe(1);
    for (let rotation = 0; rotation < 10; rotation++) {
      const { id } = await (rotation % 2 === 0 ? issuer : other).rotate();
      await expect.poll(() => kids.has(id)).toBe(true);
    }
    running = false;
    await Promise.all(load);
    expect(kids.size).toBe(11);
    const every = Math.ceil(issued.length / 500);
    for (const [index, accessToken] of issued.entries()) {
      if (index % every === 0) expect((await inspect(verifier, accessToken))?.id).toBe("order");
    }
    expect(issuer.keys().filter(({ state }) => state === "active")).toHaveLength(1);
    expect(issuer.keys()).toHaveLength(11);
  });

  test("the next key is published for twice the refresh time before it signs", async () => {
    await using store = memoryStore();
    const control = settableClock();
    await using auth = openAuth({ ...options, refreshMs: 40, store }, control.clock);
    const { secret } = await auth.generate("order");
    await auth.token({ grant: "secret", id: "order", secret });
    const before = Date.now();
    const { id, activeAtMs } = await auth.rotate();
    expect(activeAtMs - before).toBeGreaterThanOrEqual(80);
    expect(await auth.rotate()).toEqual({ id, activeAtMs });
    const published = auth.keySet().keys.map(({ kid }) => kid);
    expect(published).toContain(id);
    expect(JSON.stringify(auth.keySet())).not.toContain('"d"');
    await expect.poll(() => auth.keys().find((key) => key.id === id)?.state).toBe("active");
    expect(Date.now()).toBeGreaterThanOrEqual(activeAtMs);
    control.offsetMs = 25 * 60 * 60 * 1_000;
    await expect.poll(() => auth.keys().map((key) => key.id)).toEqual([id]);
  });

  test("a removed key ends its tokens everywhere, and another one signs", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    await using other = openAuth({ ...options, store });
    await other.open();
    const { secret } = await auth.generate("order");
    const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
    const account = (await inspect(other, accessToken))!;
    const ended: boolean[] = [];
    other.onRevoked((hasEnded) => ended.push(hasEnded(account)));
    const { id } = auth.keys()[0]!;
    expect(await auth.removeKey("none")).toBe(false);
    expect(await auth.removeKey(id)).toBe(true);
    await expect.poll(() => ended).toContain(true);
    await expect(inspect(other, accessToken)).rejects.toMatchObject({ code: "unauthenticated" });
    const after = await auth.token({ grant: "secret", id: "order", secret });
    expect((await inspect(other, after.accessToken))?.id).toBe("order");
  });

  test("are wrapped, so that neither the store nor a wrong key signs", async () => {
    await using store = memoryStore();
    const keyEncryptionKey = randomBytes(32).toString("base64");
    await using auth = openAuth({ ...options, store, keyEncryptionKey });
    const { secret } = await auth.generate("order");
    const grant = { grant: "secret", id: "order", secret } as const;
    const { accessToken } = await auth.token(grant);
    const record = Buffer.from((await store.read("auth/keys/ring"))!.value).toString();
    expect(record).not.toContain('\\"d\\"');
    await using verifier = openAuth({ ...options, store });
    expect((await inspect(verifier, accessToken))?.id).toBe("order");
    await expect(verifier.token(grant)).rejects.toThrow(/set keyEncryptionKey/);
    await expect(verifier.rotate()).rejects.toThrow(/set keyEncryptionKey/);
    await using wrong = openAuth({ ...options, store, keyEncryptionKey: randomBytes(32) });
    await expect(wrong.token(grant)).rejects.toThrow(/not the one that wrapped it/);
    expect(() => localAuth({ ...options, store, keyEncryptionKey: "short" })).toThrow(/32 bytes/);
  });

  test("that are stored as they are give a warning where the store is durable", async () => {
    const lines: string[] = [];
    const logger = createLogger({ write: (line) => lines.push(line) });
    await using memory = memoryStore();
    await using volatile = openAuth({ store: memory, issuer: "acme", logger });
    await volatile.open();
    expect(lines).toEqual([]);
    await using store = fileStore({ path: join(directory, `store-${stores++}`) });
    await using auth = openAuth({ store, issuer: "acme", logger });
    await auth.open();
    expect(lines.join()).toMatch(/keyEncryptionKey/);
  });

  test.each(["ES256", "RS256"] as const)("sign by %s", async (algorithm) => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store, algorithm });
    const { secret } = await auth.generate("order");
    const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
    expect((await inspect(auth, accessToken))?.id).toBe("order");
    expect(auth.keySet().keys).toMatchObject([{ alg: algorithm, use: "sig" }]);
  });

  test("a damaged record leaves the keys as they were, and a lost one ends them", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    const grant = { grant: "secret", id: "order", secret } as const;
    const { accessToken } = await auth.token(grant);
    await store.write("auth/keys/ring", encoder.encode("{"));
    await expect.poll(() => auth.state).toBe("degraded");
    expect((await inspect(auth, accessToken))?.id).toBe("order");
    expect((await inspect(auth, (await auth.token(grant)).accessToken))?.id).toBe("order");
    await expect(auth.rotate()).rejects.toMatchObject({ code: "data_loss" });
    await store.delete("auth/keys/ring");
    await expect
      .poll(() => inspect(auth, accessToken).catch((error) => error.code))
      .toBe("unauthenticated");
    expect((await inspect(auth, (await auth.token(grant)).accessToken))?.id).toBe("order");
    expect(auth.state).toBe("healthy");
  });

  test("of another issuer are not used", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    const grant = { grant: "secret", id: "order", secret } as const;
    const { accessToken } = await auth.token(grant);
    await using other = openAuth({ ...options, store, issuer: "other" });
    await expect(other.token(grant)).rejects.toThrow(/"acme", and this is "other"/);
    expect(other.state).not.toBe("healthy");
    expect(await inspect(other, accessToken)).toBeUndefined();
  });

  test("are served as a key set", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("order");
    await auth.token({ grant: "secret", id: "order", secret });
    const server = createServer(auth.serveKeySet).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const response = await fetch(url);
      expect(response.headers.get("content-type")).toBe("application/jwk-set+json");
      expect(response.headers.get("cache-control")).toBe("public, max-age=300");
      expect(await response.json()).toEqual(auth.keySet());
      expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
      expect((await fetch(url, { method: "POST" })).status).toBe(405);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe("tokens", () => {
  test("have a life of fifteen minutes, of five for services, and at most a day", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store });
    const { secret } = await auth.generate("ada", { type: "user" });
    const lifeS = async (values: object) => {
      const token = await auth.token({ grant: "secret", id: "ada", secret, ...values });
      const { exp, iat } = claimsOf(token.accessToken) as { exp: number; iat: number };
      return exp - iat;
    };
    expect(await lifeS({})).toBe(900);
    expect(await lifeS({ ttlMs: 86_400_000 })).toBe(86_400);
    for (const ttlMs of [0, -1, Number.NaN, 86_400_001, "60000"]) {
      await expect(lifeS({ ttlMs })).rejects.toMatchObject({ code: "invalid_argument" });
    }
  });

  test("for other services are refused", async () => {
    await using store = memoryStore();
    await using auth = openAuth({ ...options, store, audience: ["stock", "stock.v2"] });
    const { secret } = await auth.generate("order");
    const token = async (audience?: string | string[]) =>
      (await auth.token({ grant: "secret", id: "order", secret, ...(audience && { audience }) }))
        .accessToken;
    expect(await inspect(auth, await token())).toBeDefined();
    expect(await inspect(auth, await token("stock.v2"))).toBeDefined();
    expect(await inspect(auth, await token(["mail", "stock"]))).toBeDefined();
    await expect(inspect(auth, await token("mail"))).rejects.toThrow(/is for/);
    for (const audience of [[], [""], "a b"]) {
      const grant = { grant: "secret", id: "order", secret, audience } as const;
      await expect(auth.token(grant)).rejects.toMatchObject({ code: "invalid_argument" });
    }
  });

  test("that have expired stay so when the clock is set back", async () => {
    await using store = memoryStore();
    const control = settableClock();
    await using auth = openAuth({ ...options, store }, control.clock);
    const { secret } = await auth.generate("order");
    const { accessToken } = await auth.token({ grant: "secret", id: "order", secret });
    control.offsetMs = 6 * 60_000;
    await expect(inspect(auth, accessToken)).rejects.toThrow(/expired/);
    control.offsetMs = -60 * 60_000;
    await expect(inspect(auth, accessToken)).rejects.toThrow(/expired/);
  });

  test("are never in a log", async () => {
    await using store = memoryStore();
    const lines: string[] = [];
    const logger = createLogger({ level: "debug", write: (line) => lines.push(line) });
    await using auth = openAuth({ store, issuer: "acme", logger });
    const { secret } = await auth.generate("ada", { type: "user" });
    const token = await auth.token({ grant: "secret", id: "ada", secret });
    await auth.token({ grant: "secret", id: "ada", secret: `${secret}x` }).catch(() => {});
    await auth.token({ grant: "refresh", refreshToken: token.accessToken }).catch(() => {});
    await auth.revoke({ account: "ada" });
    const { jti } = claimsOf(token.accessToken);
    for (const hidden of [secret, token.accessToken, token.refreshToken, jti]) {
      expect(lines.join()).not.toContain(hidden);
    }
    expect(lines.join()).toMatch(/"audit":"issued"/);
    expect(lines.join()).toMatch(/"audit":"refused"/);
    expect(lines.join()).toMatch(/"audit":"revoked"/);
  });
});

describe("a start while the store is down", () => {
  test("refuses all tokens and says so, until the store is back", async () => {
    await using memory = memoryStore();
    const control = unreliable(memory);
    await using before = openAuth({ ...options, store: memory });
    const { secret } = await before.generate("order");
    const { accessToken } = await before.token({ grant: "secret", id: "order", secret });
    control.down = true;
    const lines: string[] = [];
    const logger = createLogger({ write: (line) => lines.push(line) });
    await using auth = openAuth({ store: control.store, issuer: "acme", logger });
    await auth.open();
    expect(auth.state).toBe("lost");
    expect(lines.join()).toMatch(/no token is accepted/);
    await expect(inspect(auth, accessToken)).rejects.toMatchObject({ code: "unavailable" });
    control.down = false;
    await expect.poll(() => auth.state).toBe("healthy");
    expect((await inspect(auth, accessToken))?.id).toBe("order");
  });

  test("uses the keys and revocations that were kept", async () => {
    await using memory = memoryStore();
    const lastKnownGood = join(directory, "keys.json");
    const tokens: string[] = [];
    {
      await using auth = openAuth({ ...options, store: memory, lastKnownGood });
      const { secret } = await auth.generate("order");
      for (let at = 0; at < 2; at++) {
        const token = await auth.token({ grant: "secret", id: "order", secret });
        tokens.push(token.accessToken);
      }
      await auth.revoke({ jti: claimsOf(tokens[1]!).jti as string });
    }
    expect(await readFile(lastKnownGood, "utf8")).not.toContain('"d"');
    const control = unreliable(memory);
    control.down = true;
    await using auth = openAuth({ ...options, store: control.store, lastKnownGood });
    await auth.open();
    expect(auth.state).toBe("degraded");
    expect((await inspect(auth, tokens[0]!))?.id).toBe("order");
    await expect(inspect(auth, tokens[1]!)).rejects.toThrow(/revoked/);
    await using stale = openAuth({
      ...options,
      store: control.store,
      lastKnownGood,
      maxStaleMs: 0,
    });
    await expect(inspect(stale, tokens[0]!)).rejects.toMatchObject({ code: "unavailable" });
    await chmod(lastKnownGood, 0o666);
    await using distrusting = openAuth({ ...options, store: control.store, lastKnownGood });
    await distrusting.open();
    expect(distrusting.state).toBe("lost");
  });
});

test("after close, everything is refused", async () => {
  await using store = memoryStore();
  const auth = openAuth({ ...options, store });
  const { secret } = await auth.generate("order");
  await auth.close();
  await expect(auth.token({ grant: "secret", id: "order", secret })).rejects.toMatchObject({
    code: "unavailable",
  });
  await expect(inspect(auth, "a.b.c")).rejects.toMatchObject({ code: "unavailable" });
});

test.each<[what: string, values: object, reason: RegExp]>([
  ["no store", { store: undefined }, /store must be/],
  ["no issuer", { issuer: "" }, /issuer must be/],
  ["no audience", { audience: [] }, /at least one name/],
  ["an unknown algorithm", { algorithm: "HS256" }, /algorithm must be/],
])("an auth with %s is refused", (_what, values, reason) => {
  const store = memoryStore();
  expect(() => localAuth({ ...options, store, ...values } as never)).toThrow(reason);
});

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { publicKey: publicKey.export({ format: "jwk" }), privateKey };
}

function privateKeyJwk(): JsonWebKey {
  return generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
}

/** Texts that decode to the same bytes. */
function otherSpellings(token: string): string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const bytes = Buffer.from(token, "base64url");
  return [...alphabet]
    .map((last) => token.slice(0, -1) + last)
    .filter((other) => other !== token && Buffer.from(other, "base64url").equals(bytes));
}
