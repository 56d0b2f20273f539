import { long } from "@micro-es/test-support/long";
import { seededRandom } from "@micro-es/test-support/seeded-random";
import { describe, expect, test } from "vitest";
import type { Rule, ScopeGrant, Subject } from "../../runtime/src/auth/auth.ts";
import { decide } from "../../runtime/src/auth/decide.ts";
import { RuleSet } from "../../runtime/src/auth/rule-set.ts";
import type { Account } from "../../runtime/src/call/account.ts";
import type { AnyMethod, MethodAuth } from "../../runtime/src/call/method.ts";
import { bytesCodec } from "../../runtime/src/codec/bytes.ts";
import { type Expected, expectedDecision } from "./rules-oracle.ts";

const sets = long ? 1_000_000 : 20_000;
const callsOfASet = 4;

const names = [
  "acme.Stock/Get",
  "acme.Stock/GetAll",
  "acme.StockRoom/Get",
  "acme.stock.v1.Stock/Get",
  "acme.stock.v1.Stock/Set",
  "acmex.Stock/Get",
];
const patterns = [
  ...names,
  "*",
  "acme.*",
  "acme.stock.*",
  "acme.stock.v1.*",
  "acme.Stock/*",
  "acme.stock.v1.Stock/*",
  "acmex.*",
  "acme.Stock/get",
];
const scopes = ["read", "write", "Read"];
const accounts = ["ada", "bob", "Ada"];
const issuers = ["acme", "other"];

type Pick = <T>(values: readonly T[]) => T;

function randomRule(pick: Pick, random: () => number, id: string): Rule {
  const subject: { -readonly [K in keyof Subject]: Subject[K] } = {};
  if (random() < 0.3) subject.scope = pick(scopes);
  if (random() < 0.3) subject.account = pick(accounts);
  if (random() < 0.3) subject.issuer = pick(issuers);
  return {
    id,
    access: pick(["granted", "denied"]),
    priority: pick([-1, 0, 0, 1, 7]),
    resource: { type: random() < 0.9 ? "method" : "topic", name: pick(patterns) },
    subject,
  };
}

function randomGrant(pick: Pick, id: string): ScopeGrant {
  return { id, issuer: pick(issuers), account: pick(accounts), scopes: [pick(scopes)] };
}

function randomAccount(pick: Pick, random: () => number): Account | undefined {
  if (random() < 0.2) return undefined;
  return {
    id: pick(accounts),
    type: "user",
    issuer: pick(issuers),
    scopes: new Set(scopes.filter(() => random() < 0.3)),
    claims: {},
    expiresAtMs: Number.POSITIVE_INFINITY,
    provenBy: "token",
  };
}

function methodOf(name: string, auth: MethodAuth | undefined): AnyMethod {
  return {
    service: "acme",
    name,
    kind: "unary",
    input: bytesCodec,
    output: bytesCodec,
    idempotency: "unknown",
    ...(auth !== undefined && { auth }),
  };
}

const auths: readonly (MethodAuth | undefined)[] = [
  undefined,
  undefined,
  {},
  { public: true },
  { scopes: ["read"] },
  { scopes: ["read", "write"] },
];

/** A fault of the decision, with all that is needed to repeat it. */
function firstFault(seed: number, count: number, decideAs: typeof decide): string | undefined {
  const random = seededRandom(seed);
  const pick: Pick = (values) => values[Math.floor(random() * values.length)]!;
  for (let at = 0; at < count; at++) {
    const size = Math.floor(random() * 8);
    const entries = Array.from({ length: size }, (_, index) => {
      const id = `${String.fromCharCode(97 + Math.floor(random() * 26))}${index}`;
      return random() < 0.2 ? randomGrant(pick, id) : randomRule(pick, random, id);
    });
    const set = new RuleSet(entries);
    for (let call = 0; call < callsOfASet; call++) {
      const method = methodOf(pick(names), pick(auths));
      const caller = randomAccount(pick, random);
      const unspecified = pick(["denied", "account"] as const);
      const decision = decideAs(method, caller, set, unspecified);
      const found: Expected = {
        result: decision.allowed ? "allowed" : decision.code,
        rule: decision.rule,
      };
      const expected = expectedDecision(method, caller, entries, unspecified);
      if (found.result === expected.result && found.rule === expected.rule) continue;
      const { name, auth } = method;
      const of = { ...caller, scopes: [...(caller?.scopes ?? [])] };
      return JSON.stringify({ at, entries, name, auth, of, unspecified, found, expected });
    }
  }
  return undefined;
}

describe("random rules", () => {
  test(`decide as an implementation that shares no code with them, for ${sets} sets`, {
    timeout: 600_000,
  }, () => {
    expect(firstFault(1, sets, decide)).toBeUndefined();
  });

  test.each<[fault: string, broken: typeof decide]>([
    [
      "priorities are ignored",
      (method, account, set, unspecified) =>
        decide(
          method,
          account,
          withEntries(set, (rule) => ({ ...rule, priority: 0 })),
          unspecified,
        ),
    ],
    [
      "patterns match without case",
      (method, account, set, unspecified) =>
        decide({ ...method, name: method.name.replace("Get", "get") }, account, set, unspecified),
    ],
    [
      "grants are ignored",
      (method, account, set, unspecified) =>
        decide(
          method,
          account,
          new RuleSet((set as RuleSet).entries.filter((entry) => "subject" in entry)),
          unspecified,
        ),
    ],
  ])("the comparison notices if %s", (_fault, broken) => {
    expect(firstFault(1, 5_000, broken)).toBeDefined();
  });
});

function withEntries(set: unknown, change: (rule: Rule) => Rule): RuleSet {
  const entries = (set as RuleSet).entries.map((it) => ("subject" in it ? change(it) : it));
  return new RuleSet(entries);
}

const exact = "acme.stock.v1.StockService/Reserve";

/** The ways in which a name can be written that are not the name. */
const spellings: readonly string[] = [
  exact.toLowerCase(),
  exact.toUpperCase(),
  "Acme.stock.v1.StockService/Reserve",
  "acme.Stock.v1.StockService/Reserve",
  "acme.stock.V1.StockService/Reserve",
  "acme.stock.v1.stockService/Reserve",
  "acme.stock.v1.STOCKSERVICE/Reserve",
  "acme.stock.v1.StockService/reserve",
  "acme.stock.v1.StockService/RESERVE",
  "acme.stock.v1.StockService.Reserve",
  "acme.stock.v1.StockService:Reserve",
  "acme.stock.v1.StockService\\Reserve",
  "acme.stock.v1.StockService//Reserve",
  "acme.stock.v1.StockService///Reserve",
  "acme.stock.v1.StockService/./Reserve",
  "acme.stock.v1.StockService/../StockService/Reserve",
  "acme.stock.v1.StockService/x/../Reserve",
  `/${exact}`,
  `//${exact}`,
  `./${exact}`,
  `.${exact}`,
  `..${exact}`,
  `${exact}/`,
  `${exact}//`,
  `${exact}.`,
  `${exact}..`,
  `${exact}/.`,
  `${exact}?`,
  `${exact}?a=b`,
  `${exact}#`,
  `${exact};a=b`,
  `${exact} `,
  ` ${exact}`,
  `${exact}\t`,
  `${exact}\n`,
  `\n${exact}`,
  `${exact}\0`,
  `\0${exact}`,
  `${exact}\u00a0`,
  `\ufeff${exact}`,
  `${exact}\u200b`,
  "acme.stock.v1.StockService%2fReserve",
  "acme.stock.v1.StockService%2FReserve",
  "acme.stock.v1.StockService%252fReserve",
  "acme%2estock.v1.StockService/Reserve",
  "acme.stock.v1.StockService/%52eserve",
  "acme.stock.v1.StockService/Reserv%65",
  "acme.stock.v1.StockService\u2215Reserve",
  "acme.stock.v1.StockService\uff0fReserve",
  "acme\uff0estock.v1.StockService/Reserve",
  "acme.stock.v1.StockService/Reserve\u0301",
  "acme.stock.v1.Stock\u0455ervice/Reserve",
  "\u0430cme.stock.v1.StockService/Reserve",
  "acme..stock.v1.StockService/Reserve",
  "acme.stock.v1..StockService/Reserve",
  "acme.stock.StockService/Reserve",
  "stock.v1.StockService/Reserve",
  "StockService/Reserve",
  "StockService.Reserve",
  "Reserve",
  "acme.stock.v1.StockService/",
  "acme.stock.v1.StockService/Reserve2",
  "acme.stock.v1.StockService/Reserv",
  "acme.stock.v1.StockServic/Reserve",
  "xacme.stock.v1.StockService/Reserve",
  "",
];

describe("names that resemble a name", () => {
  const rule = (name: string): Rule => ({
    id: "only",
    access: "granted",
    priority: 0,
    resource: { type: "method", name },
    subject: {},
  });

  test(`are not the name: ${spellings.length} of them`, () => {
    const set = new RuleSet([rule(exact)]);
    expect(new Set([exact, ...spellings]).size).toBe(spellings.length + 1);
    expect(set.verify(undefined, { type: "method", name: exact })).toBeDefined();
    const found = spellings.filter((name) => set.verify(undefined, { type: "method", name }));
    expect(found).toEqual([]);
  });

  test("select nothing of it as patterns, or are refused", () => {
    const selecting = spellings.filter((name) => {
      try {
        return new RuleSet([rule(name)]).verify(undefined, { type: "method", name: exact });
      } catch {
        return false;
      }
    });
    expect(selecting).toEqual([]);
  });
});
