import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { type Account, MicroError } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";
import type { ContractCase } from "./contract.ts";

/** An Auth under test, and an issuer of its tokens. */
export interface AuthFixture {
  readonly auth: Auth;
  /** The issuer of its accounts. */
  readonly issuer: string;
  /**
   * Returns a token of an account with exactly these scopes; absent for an Auth that issues tokens
   * itself.
   */
  token?(id: string, scopes: readonly string[]): Promise<string>;
  /** Returns a token that was valid once; absent if there is no way to have one. */
  expiredToken?(): Promise<string>;
  cleanUp?(): Promise<void>;
}

type AuthGuarantees = Auth["guarantees"];

const peer = { address: "127.0.0.1:40000", transport: "tcp" } as const;
/** The longest time that a test waits for a revocation, in milliseconds. */
const mostRevocationMs = 15_000;

/**
 * The behaviour of every Auth that verifies tokens.
 * @param create creates a new Auth for every case; it is closed afterwards.
 */
export function authContract(create: () => Promise<AuthFixture>): readonly ContractCase[] {
  const withAuth = (
    name: string,
    run: (fixture: AuthFixture) => Promise<void>,
    applies: (guarantees: AuthGuarantees) => boolean = () => true,
  ): ContractCase => ({
    name,
    async run() {
      const fixture = await create();
      try {
        await fixture.auth.open?.();
        if (applies(fixture.auth.guarantees)) await run(fixture);
      } finally {
        await fixture.auth.close();
        await fixture.cleanUp?.();
      }
    },
  });
  const issues = ({ issues }: AuthGuarantees) => issues;
  const revokes = ({ issues, revokes }: AuthGuarantees) => issues && revokes;
  return [
    withAuth("proves the account of a token", async (fixture) => {
      const { auth, issuer } = fixture;
      const account = await accountOf(auth, await tokenOf(fixture, "order", ["a.read", "a.WRITE"]));
      assert.equal(account.id, "order");
      assert.equal(account.issuer, issuer);
      assert.equal(account.provenBy, "token");
      assert.notEqual(account.type, "");
      assert.deepEqual([...account.scopes].sort(), ["a.WRITE", "a.read"]);
      assert.ok(account.expiresAtMs > Date.now());
    }),
    withAuth("gives an account no scopes that its token does not state", async (fixture) => {
      const account = await accountOf(fixture.auth, await tokenOf(fixture, "order", []));
      assert.equal(account.scopes.size, 0);
    }),
    withAuth("keeps the tokens of several accounts apart", async (fixture) => {
      const ids = ["order", "Order", "stock"];
      const tokens = await Promise.all(ids.map((id) => tokenOf(fixture, id, [id])));
      for (const [index, id] of ids.entries()) {
        const account = await accountOf(fixture.auth, tokens[index]!);
        assert.deepEqual([account.id, [...account.scopes]], [id, [id]]);
      }
    }),
    withAuth("knows no account without a credential", async ({ auth }) => {
      assert.equal(await inspect(auth, undefined), undefined);
    }),
    withAuth("refuses a token that was changed anywhere", async (fixture) => {
      const { auth } = fixture;
      const token = await tokenOf(fixture, "order", ["a"]);
      const step = Math.ceil(token.length / 100);
      for (let at = 0; at < token.length; at += step) {
        const other = token[at] === "A" ? "B" : "A";
        await assertRefused(auth, token.slice(0, at) + other + token.slice(at + 1));
        await assertRefused(auth, token.slice(0, at) + token.slice(at + 1));
      }
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=";
      for (const last of alphabet) {
        if (last !== token.at(-1)) await assertRefused(auth, token.slice(0, -1) + last);
        await assertRefused(auth, token + last);
      }
      for (const it of [`${token}\n`, ` ${token}`, `\ufeff${token}`, `${token}\0`, token + token]) {
        await assertRefused(auth, it);
      }
      assert.equal((await accountOf(auth, token)).id, "order");
    }),
    withAuth("refuses nonsense", async ({ auth }) => {
      const nonsense = ["", ".", "..", "...", "a", "a.b", "a.b.c", "e30.e30.e30", "{}", "null"];
      const names = ["__proto__", "constructor", "toString", "../../etc/passwd", "' OR 1=1 --"];
      const long = [
        "x".repeat(8 * 1024 + 1),
        `${"x".repeat(9_000)}.e30.e30`,
        "x".repeat(1_000_000),
      ];
      for (const token of [...nonsense, ...names, ...long]) await assertRefused(auth, token);
    }),
    withAuth("refuses a token that has expired", async ({ auth, expiredToken }) => {
      if (expiredToken !== undefined) await assertRefused(auth, await expiredToken());
    }),
    withAuth(
      "creates an account that gets tokens for its secret",
      async ({ auth, issuer }) => {
        const created = await auth.generate("order", { type: "robot", scopes: ["a", "b"] });
        assert.equal(created.id, "order");
        assert.equal(created.type, "robot");
        assert.equal(created.issuer, issuer);
        assert.deepEqual([...created.scopes], ["a", "b"]);
        const { secret } = created;
        const token = await auth.token({ grant: "secret", id: "order", secret, ttlMs: 60_000 });
        assert.ok(token.expiresAtMs <= Date.now() + 61_000);
        assert.deepEqual([...token.scopes].sort(), ["a", "b"]);
        const account = await accountOf(auth, token.accessToken);
        assert.deepEqual([account.id, account.type], ["order", "robot"]);
      },
      issues,
    ),
    withAuth(
      "creates an account once, with a secret of its own",
      async ({ auth }) => {
        const [one, other] = [await auth.generate("order"), await auth.generate("stock")];
        assert.notEqual(one.secret, other.secret);
        await rejectsWith("already_exists", () => auth.generate("order"));
        const own = await auth.generate("shop", { secret: "a secret that was given, long enough" });
        assert.equal(own.secret, "a secret that was given, long enough");
      },
      issues,
    ),
    withAuth(
      "does not tell an unknown account from a wrong secret",
      async ({ auth }) => {
        const { secret } = await auth.generate("order");
        const { secret: others } = await auth.generate("stock");
        const attempts = [
          { id: "order", secret: others },
          { id: "absent", secret },
          { id: "order", secret: `${secret}x` },
          { id: "Order", secret },
        ];
        const errors = [];
        for (const attempt of attempts) {
          errors.push(
            await rejectsWith("unauthenticated", () => auth.token({ grant: "secret", ...attempt })),
          );
        }
        assert.equal(new Set(errors.map(({ message }) => message)).size, 1);
      },
      issues,
    ),
    withAuth(
      "grants the scopes of the account, or fewer",
      async ({ auth }) => {
        const { secret } = await auth.generate("order", { scopes: ["a", "b"] });
        const grant = { grant: "secret", id: "order", secret } as const;
        const { accessToken } = await auth.token({ ...grant, scopes: ["b"] });
        assert.deepEqual([...(await accountOf(auth, accessToken)).scopes], ["b"]);
        for (const scopes of [["c"], ["a", "c"], ["A"], ["a b"]]) {
          await rejectsWith("permission_denied", () => auth.token({ ...grant, scopes }));
        }
      },
      issues,
    ),
    withAuth(
      "takes no token for a secret, and no secret for a token",
      async ({ auth }) => {
        const { secret } = await auth.generate("order");
        const token = await auth.token({ grant: "secret", id: "order", secret });
        const { accessToken, refreshToken } = token;
        await rejectsWith("unauthenticated", () =>
          auth.token({ grant: "secret", id: "order", secret: accessToken }),
        );
        await assertRefused(auth, secret);
        if (refreshToken !== undefined) await assertRefused(auth, refreshToken);
      },
      issues,
    ),
    withAuth(
      "takes a refresh token once, and then ends its family",
      async ({ auth }) => {
        const { secret } = await auth.generate("order");
        const first = await auth.token({ grant: "secret", id: "order", secret });
        const refresh = (refreshToken: string) => auth.token({ grant: "refresh", refreshToken });
        if (first.refreshToken === undefined) {
          await rejectsWith(["unimplemented", "unauthenticated"], () => refresh(first.accessToken));
          return;
        }
        await rejectsWith("unauthenticated", () => refresh(first.accessToken));
        const second = await refresh(first.refreshToken);
        assert.equal((await accountOf(auth, second.accessToken)).id, "order");
        await rejectsWith("unauthenticated", () => refresh(first.refreshToken!));
        await rejectsWith("unauthenticated", () => refresh(second.refreshToken!));
      },
      issues,
    ),
    withAuth(
      "refuses arguments that cannot be used",
      async ({ auth }) => {
        const bad = [
          ["", {}],
          [undefined, {}],
          [1, {}],
          ["order", { scopes: "a" }],
          ["order", { scopes: [1] }],
          ["order", { type: 1 }],
          ["order", { scope: ["a"] }],
          ["order", 1],
        ] as const;
        for (const [id, options] of bad) {
          await rejectsWith("invalid_argument", () =>
            auth.generate(id as string, options as object),
          );
        }
        const { secret } = await auth.generate("order");
        const grant = { grant: "secret", id: "order", secret } as const;
        for (const options of [{ ttlMs: -1 }, { ttlMs: "1" }, { scopes: "a" }, { audience: 1 }]) {
          await rejectsWith("invalid_argument", () =>
            auth.token({ ...grant, ...(options as object) }),
          );
        }
      },
      issues,
    ),
    withAuth(
      "says that it does not issue",
      async ({ auth }) => {
        await rejectsWith("unimplemented", () => auth.generate("order"));
        const grant = { grant: "secret", id: "order", secret: "secret" } as const;
        await rejectsWith("unimplemented", () => auth.token(grant));
      },
      ({ issues }) => !issues,
    ),
    withAuth(
      "ends all tokens of an account that was revoked, and tells",
      async ({ auth }) => {
        const [one, other] = [await issue(auth, "order"), await issue(auth, "stock")];
        const accounts = await Promise.all([one, other].map((it) => accountOf(auth, it)));
        const ended: (readonly boolean[])[] = [];
        const stop = auth.onRevoked?.((hasEnded) => ended.push(accounts.map((it) => hasEnded(it))));
        assert.notEqual(stop, undefined);
        await auth.revoke({ account: "order" });
        await eventually(auth, () => assertRefused(auth, one));
        await eventually(auth, async () => {
          assert.ok(ended.some(([first]) => first));
        });
        assert.ok(ended.every(([, second]) => second === false));
        assert.equal((await accountOf(auth, other)).id, "stock");
        stop?.();
        const told = ended.length;
        await auth.revoke({ account: "stock" });
        await eventually(auth, () => assertRefused(auth, other));
        assert.equal(ended.length, told);
      },
      revokes,
    ),
    withAuth(
      "ends one token by its id",
      async ({ auth }) => {
        const { secret } = await auth.generate("order");
        const grant = { grant: "secret", id: "order", secret } as const;
        const [one, other] = [await auth.token(grant), await auth.token(grant)];
        const { jti } = (await accountOf(auth, one.accessToken)).claims;
        assert.equal(typeof jti, "string");
        await auth.revoke({ jti: jti as string });
        await eventually(auth, () => assertRefused(auth, one.accessToken));
        assert.equal((await accountOf(auth, other.accessToken)).id, "order");
      },
      revokes,
    ),
    withAuth(
      "says that it does not revoke",
      async ({ auth }) => {
        assert.equal(auth.guarantees.revocationMs, Number.POSITIVE_INFINITY);
        await rejectsWith("unimplemented", () => auth.revoke({ account: "order" }));
      },
      ({ revokes }) => !revokes,
    ),
    withAuth("closes more than once, and verifies nothing afterwards", async (fixture) => {
      const { auth } = fixture;
      const token = await tokenOf(fixture, "order", []);
      await auth.open?.();
      assert.equal((await accountOf(auth, token)).id, "order");
      assert.equal(auth.state, "healthy");
      await Promise.all([auth.close(), auth.close()]);
      await auth[Symbol.asyncDispose]();
      await rejectsWith("unavailable", () => inspect(auth, token));
    }),
  ];
}

/** `inspect` may return at once, or throw. */
async function inspect(auth: Auth, token: string | undefined): Promise<Account | undefined> {
  return auth.inspect(token === undefined ? undefined : { scheme: "bearer", token }, peer);
}

async function accountOf(auth: Auth, token: string): Promise<Account> {
  const account = await inspect(auth, token);
  assert.notEqual(account, undefined, "the token was not accepted");
  return account as Account;
}

async function tokenOf(
  { auth, token }: AuthFixture,
  id: string,
  scopes: readonly string[],
): Promise<string> {
  return token === undefined ? issue(auth, id, scopes) : token(id, scopes);
}

async function issue(auth: Auth, id: string, scopes: readonly string[] = []): Promise<string> {
  const { secret } = await auth.generate(id, { scopes });
  return (await auth.token({ grant: "secret", id, secret })).accessToken;
}

/** A refusal says nothing of the token, and neither does an Auth for which it is not. */
async function assertRefused(auth: Auth, token: string): Promise<void> {
  const about = JSON.stringify(token.slice(0, 60));
  let account: Account | undefined;
  try {
    account = await inspect(auth, token);
  } catch (error) {
    assert.ok(error instanceof MicroError, `${about}: ${String(error)}`);
    assert.deepEqual([error.code, error.outcome], ["unauthenticated", "not-executed"], about);
    assert.ok(token.length < 20 || !error.message.includes(token), about);
    return;
  }
  assert.equal(account, undefined, `${about} was accepted`);
}

async function rejectsWith(
  codes: string | readonly string[],
  run: () => Promise<unknown>,
): Promise<MicroError> {
  let error: unknown;
  try {
    await run();
  } catch (reason) {
    error = reason;
  }
  assert.ok(error instanceof MicroError, `expected ${codes}, got ${String(error)}`);
  assert.ok(
    [codes].flat().includes(error.code),
    `expected ${codes}, got ${error.code}: ${error.message}`,
  );
  return error;
}

/** Waits for as long as the Auth may take until a revocation is in force. */
async function eventually({ guarantees }: Auth, check: () => Promise<void>): Promise<void> {
  const end = Date.now() + Math.min(guarantees.revocationMs + 2_000, mostRevocationMs);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= end) throw error;
    }
    await delay(20);
  }
}
