import { describe, expect, test } from "vitest";
import type { Account } from "../call/account.ts";
import type { AnyMethod, MethodAuth } from "../call/method.ts";
import { bytesCodec } from "../codec/bytes.ts";
import type { Rule, ScopeGrant } from "./auth.ts";
import { decide } from "./decide.ts";
import { RuleSet } from "./rule-set.ts";

function method(auth?: MethodAuth): AnyMethod {
  return {
    service: "acme.stock",
    name: "acme.stock.v1.StockService/Reserve",
    kind: "unary",
    input: bytesCodec,
    output: bytesCodec,
    idempotency: "unknown",
    ...(auth !== undefined && { auth }),
  };
}

function account(...scopes: string[]): Account {
  return {
    id: "service:order",
    type: "service",
    issuer: "acme",
    scopes: new Set(scopes),
    claims: {},
    expiresAtMs: Number.POSITIVE_INFINITY,
    provenBy: "token",
  };
}

function rule(access: Rule["access"], values: Partial<Rule> = {}): Rule {
  const resource = { type: "method", name: "acme.stock.v1.StockService/*" } as const;
  return { id: access, access, priority: 0, resource, subject: {}, ...values };
}

function verdict(
  auth: MethodAuth | undefined,
  caller: Account | undefined,
  ...entries: (Rule | ScopeGrant)[]
): string {
  const decision = decide(method(auth), caller, new RuleSet(entries), "denied");
  return decision.allowed ? "allowed" : decision.code;
}

describe("the schema", () => {
  test("a public method is open to callers without an account", () => {
    expect(verdict({ public: true }, undefined)).toBe("allowed");
  });

  test("all scopes are required, exactly", () => {
    const scopes = ["stock.read", "stock.write"];
    expect(verdict({ scopes }, account("stock.read", "stock.write"))).toBe("allowed");
    expect(verdict({ scopes }, account("stock.read", "Stock.write"))).toBe("permission_denied");
    expect(verdict({ scopes }, undefined)).toBe("unauthenticated");
  });

  test("a method about which nothing is said is refused, unless a rule grants it", () => {
    expect(verdict(undefined, account("stock.write"))).toBe("permission_denied");
    expect(verdict(undefined, undefined)).toBe("unauthenticated");
    expect(verdict(undefined, undefined, rule("granted"))).toBe("allowed");
    const text = decide(method(), account(), undefined, "denied");
    expect(text).toMatchObject({ reason: expect.stringContaining("add the option auth") });
    expect(decide(method(), account(), undefined, "account").allowed).toBe(true);
    expect(decide(method(), undefined, undefined, "account").allowed).toBe(false);
  });
});

describe("rules", () => {
  test("never undo the scopes or the account that the schema requires", () => {
    const grant = rule("granted", { priority: 1_000 });
    expect(verdict({ scopes: ["stock.write"] }, account(), grant)).toBe("permission_denied");
    expect(verdict({}, undefined, grant)).toBe("unauthenticated");
  });

  test("a grant of scopes satisfies the schema, for its issuer only", () => {
    const scopes = ["stock.write"];
    const grant = { id: "g", issuer: "acme", account: "service:order", scopes };
    expect(verdict({ scopes }, account(), grant)).toBe("allowed");
    const foreign = { ...grant, issuer: "other" };
    expect(verdict({ scopes }, account(), foreign)).toBe("permission_denied");
  });

  test("refuse what the schema allows", () => {
    expect(verdict({ public: true }, undefined, rule("denied"))).toBe("unauthenticated");
    expect(verdict({}, account(), rule("denied"))).toBe("permission_denied");
  });

  test("the highest priority decides; then a denial; then the more specific resource", () => {
    const denied = rule("denied");
    expect(verdict(undefined, account(), denied, rule("granted", { priority: 1 }))).toBe("allowed");
    expect(verdict(undefined, account(), denied, rule("granted"))).toBe("permission_denied");
  });

  test("select callers by scope, account and issuer, all of them", () => {
    const subject = { scope: "a", account: "service:order", issuer: "acme" };
    const grant = rule("granted", { subject });
    expect(verdict(undefined, account("a"), grant)).toBe("allowed");
    expect(verdict(undefined, account("b"), grant)).toBe("permission_denied");
    const other = rule("granted", { subject: { ...subject, issuer: "x" } });
    expect(verdict(undefined, account("a"), other)).toBe("permission_denied");
  });
});

describe("a set of rules is refused as a whole for", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["a rule without a resource", { ...rule("granted"), resource: undefined }],
    ["a priority that is not a number", rule("granted", { priority: Number.NaN })],
    ["a star in the middle", rule("granted", { resource: { type: "method", name: "a*b" } })],
    [
      "a star after a part of a word",
      rule("granted", { resource: { type: "method", name: "a*" } }),
    ],
    ["an unknown type", { ...rule("granted"), resource: { type: "thing", name: "*" } }],
    ["an unknown property of the subject", { ...rule("granted"), subject: { scopes: "a" } }],
    ["an id with a slash", rule("granted", { id: "../x" })],
    ["a grant without scopes", { id: "g", issuer: "acme", account: "a", scopes: [] }],
  ];
  test.each(cases)("%s", (_what, bad) => {
    expect(() => new RuleSet([rule("denied"), bad as Rule])).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});
