import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createService, memoryBroker, memoryRegistry, silentLogger } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";
import { jwtAuth } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";
import { type BadToken, badTokens } from "../../support/bad-tokens.ts";
import { TokenIssuer } from "../../support/token-issuer.ts";
import type { Figure, Length } from "../figure.ts";
import { guardedHandler } from "./guarded-handler.ts";
import { laxAuth } from "./lax-auth.ts";
import { type TokenCaller, tokenCallers } from "./token-callers.ts";

/** Calls that are open at the same time. */
const concurrency = 32;

const issuer = new TokenIssuer("https://issuer.example", "guarded");

/**
 * Bad tokens, and valid ones of which a byte was changed, call a public method over six protocols,
 * which only a call without a token, or with a valid one, may reach. None does, and nothing is
 * requested from the URLs that tokens state.
 */
async function callsWithBadTokens(id: string, auth: Auth, length: Length): Promise<Figure> {
  await using trap = await openTrap();
  let handled = 0;
  await using service = createService({
    name: "guarded",
    registry: memoryRegistry(),
    broker: memoryBroker(),
    logger: silentLogger,
    environment: { MICRO_ADDRESS: "127.0.0.1:0", MICRO_DRAIN_DELAY: "0ms" },
    auth,
  });
  registerGuardedServiceHandler(
    service.server,
    guardedHandler(() => handled++),
  );
  await service.start();
  await using callers = tokenCallers(service.server.addresses[0] ?? "");
  const protocols = Object.entries(callers.all);

  for (const [protocol, call] of protocols) {
    const code = await call(issuer.token());
    if (code !== undefined) throw new Error(`a valid token is refused by ${protocol}: ${code}`);
  }
  handled = 0;

  const accepted: string[] = [];
  const undecided = new Set<string>();
  let calls = 0;
  const send = async (name: string, protocol: string, call: TokenCaller, token: string) => {
    calls++;
    const code = await call(token);
    if (code === undefined) accepted.push(`${name}, by ${protocol}`);
    // A request that is written by hand has a status of HTTP, or ends the connection.
    else if (!/^(?:unauthenticated|4\d\d|reset)$/.test(code)) undecided.add(code);
  };
  const bad = badTokens(issuer, trap.url).filter(isBadOnTheWire);
  await inParallel(
    bad.flatMap(({ name, token }) =>
      protocols.map(
        ([protocol, call]) =>
          () =>
            send(name, protocol, call, token),
      ),
    ),
  );
  const valid = length === "long" ? 1_000 : 3;
  let changes = 0;
  for (let i = 0; i < valid; i++) {
    const key = Object.values(issuer.keys)[i % 3]!;
    const token = issuer.token({ key, claims: { sub: `user:${i}` } });
    await inParallel(
      changed(token, i).map((other, at) => () => {
        changes++;
        const [protocol, call] = protocols[(at + i) % protocols.length]!;
        return send(`byte ${at} changed`, protocol, call, other);
      }),
    );
  }
  const reached = Math.max(accepted.length, handled);
  return {
    id,
    recipe: `${bad.length} bad tokens by each of 6 protocols, and each byte of ${valid} valid ones changed (${changes} tokens, by the protocols in turn)`,
    found: `${calls} calls, ${reached} accepted${reached > 0 ? ` (such as ${accepted[0]})` : ""}, ${undecided.size} refused for another reason${[...undecided].map((code) => ` (${code})`).join("")}, ${trap.fetches} requests to URLs in tokens`,
    bound: "0 accepted, 0 for another reason, 0 requests",
    holds: reached === 0 && undecided.size === 0 && trap.fetches === 0 && bad.length >= 250,
  };
}

export async function tokensForged(length: Length): Promise<Figure> {
  const { issuer: name, audience, jwks } = issuer;
  return callsWithBadTokens("AU4", jwtAuth({ issuer: name, audience, keys: jwks }), length);
}

/** What the recipe finds where tokens are verified as careless programs do. */
export async function tokensVerifiedLaxly(): Promise<Figure> {
  const figure = await callsWithBadTokens("AU4-planted", laxAuth(issuer.jwks), "short");
  const notices = /[1-9]\d* accepted/.test(figure.found) && /[1-9]\d* requests/.test(figure.found);
  return {
    ...figure,
    bound: "jose with its defaults accepts some, and the trap is asked, which AU4 notices",
    holds: !figure.holds && notices,
  };
}

/** HTTP/1.1 does not count spaces around a token, and a line break after it, as parts of it. */
function isBadOnTheWire({ token }: BadToken): boolean {
  return !/^ |[ \n]$/.test(token);
}

function changed(token: string, salt: number): readonly string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return [...token].map((character, at) => {
    const other = alphabet[(alphabet.indexOf(character) + 1 + ((salt * 7 + at) % 62)) % 64]!;
    return `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
  });
}

async function inParallel(work: readonly (() => Promise<void>)[]): Promise<void> {
  const left = work.values();
  const worker = async () => {
    for (const one of left) await one();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** A server that must never be asked. */
async function openTrap(): Promise<AsyncDisposable & { readonly url: string; fetches: number }> {
  const server = createServer((_, response) => response.end("{}"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const trap = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    fetches: 0,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  server.on("connection", () => trap.fetches++);
  return trap;
}
