import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import { createGuardedServiceClient } from "../../gen/micro/test/v1/guarded_micro.ts";
import { type Program, startProgram } from "../../support/process.ts";
import { TokenIssuer } from "../../support/token-issuer.ts";
import type { Figure, Length } from "../figure.ts";
import { startTokenServer, type TokenServer } from "./servers.ts";
import { type SteadyCall, SteadyCalls } from "./steady-calls.ts";

/** How much longer others' calls may take than next to calls without a credential. */
const mostTimes = 3;
const mostMiB = 20;
/** The accounts that a server remembers, and those that calls still use. */
const mostAccounts = 10_000 + 64;

const issuer = new TokenIssuer("https://issuer.example", "guarded");
const claims = { scope: "documents.write" };

/** More tokens than are remembered, so that whatever comes later should take no more memory. */
const firstTokens = 11_000;
/**
 * By how many calls a second a server is flooded, which is less than it can refuse, since a server
 * that is busy all the time lets everyone wait; how often and for how long, in seconds; the
 * different valid tokens, and how much memory those after the first may take, in MiB. In the long
 * form that is 44 bytes for each of them, less than a map has for an entry with its key.
 */
const sizes = {
  short: { rate: 4_000, turns: 8, seconds: 0.65, tokens: 13_000, tokensMiB: 20 },
  long: { rate: 4_000, turns: 25, seconds: 1, tokens: 200_000, tokensMiB: 8 },
  planted: { rate: 30, turns: 2, seconds: 1, tokens: 12_000, tokensMiB: 20 },
} as const;

/** A flood, and the calls of others meanwhile. */
interface Wave {
  readonly perSecond: number;
  /** Processor time of the server for each call, in microseconds. */
  readonly cpuUs: number;
  readonly calls: readonly SteadyCall[];
}

/**
 * A server is flooded with calls whose tokens have invalid signatures, each another one, from 100
 * connections, in turns with the same calls without a credential, which it refuses as well; others
 * call it with valid tokens meanwhile. Then it gets more valid tokens than it remembers. A bad
 * token must not take it more processor time than a valid one that is new, which does not depend on
 * what else the machine does.
 *
 * @param fault planted in the server
 */
async function floods(id: string, length: Length, fault: string): Promise<Figure> {
  const {
    rate,
    turns,
    seconds,
    tokens,
    tokensMiB: mostTokensMiB,
  } = sizes[fault === "" ? length : "planted"];
  await using keys = await serveKeys();
  const place = { jwks: keys.url, refreshMs: 300_000 };
  await using server = await startTokenServer(issuer, place, fault, ["--expose-gc"]);
  await using client = createClient({ registry: memoryRegistry(), transports: [tcpTransport()] });
  const { address } = server;
  const wave = (flood: Program, length: number) => flooded(server, flood, client, length);
  await using anonymous = await startFlood(address, rate, "x-no-credential");
  await using invalid = await startFlood(address, rate, "authorization");
  // The code of all is compiled by then.
  await wave(anonymous, 1);
  await wave(invalid, 1);
  const before = await memoryOf(server);
  const [control, attacked]: [Wave[], Wave[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    control.push(await wave(anonymous, seconds));
    attacked.push(await wave(invalid, seconds));
  }
  const after = await memoryOf(server);
  await using source = await startTokens(address);
  const calls = attacked.flatMap((it) => it.calls);
  const failures = calls.filter(({ failure }) => failure !== undefined);
  const first = await callWithTokens(server, source, firstTokens);
  const filled = await memoryOf(server);
  const rest = await callWithTokens(server, source, tokens - firstTokens);
  const full = await memoryOf(server);
  const [usualMs, floodedMs] = [control, attacked].map((all) => median(all.map(p90Ms)));
  const [usualUs, badUs] = [control, attacked].map((all) => median(all.map((it) => it.cpuUs)));
  const [floodMiB, tokensMiB] = [after.usedMiB - before.usedMiB, full.usedMiB - filled.usedMiB];
  const reached = Math.round(median(attacked.map(({ perSecond }) => perSecond)));
  const refused = first.failed + rest.failed;
  return {
    id,
    recipe: `${rate} calls/s with invalid signatures from 100 connections for ${Math.round(turns * seconds)} s, in turns with the same calls without a credential, next to 200 calls/s of others; then ${tokens} different valid tokens`,
    found: `${reached} bad calls/s; ${badUs!.toFixed(0)} µs of processor time for each, ${usualUs!.toFixed(0)} µs for one without a credential, ${first.cpuUs.toFixed(0)} µs for a valid new token; p90 of others in the median turn ${floodedMs!.toFixed(1)} ms, ${usualMs!.toFixed(1)} ms next to calls without one, ${failures.length} of ${calls.length} failed${failures.length > 0 ? ` (${failures[0]?.failure})` : ""}; ${floodMiB.toFixed(1)} MiB more; ${refused} valid tokens refused${refused > 0 ? ` (${first.error ?? rest.error})` : ""}, ${full.accounts} accounts remembered, ${tokensMiB.toFixed(1)} MiB more after the first ${firstTokens}`,
    bound: `as a valid new token; ${mostTimes} times, 0 failed, ${mostMiB} MiB; 0 refused, ${mostAccounts} accounts, ${mostTokensMiB} MiB`,
    holds:
      badUs! <= first.cpuUs &&
      floodedMs! <= mostTimes * usualMs! &&
      failures.length === 0 &&
      floodMiB <= mostMiB &&
      refused === 0 &&
      full.accounts <= mostAccounts &&
      tokensMiB <= mostTokensMiB,
  };
}

export const tokensFlooded = (length: Length): Promise<Figure> => floods("AU6", length, "");

/** What the recipe finds where invalid tokens cost time, and what they prove is kept for ever. */
export async function floodsKept(): Promise<Figure> {
  const figure = await floods("AU6-planted", "short", "leaky");
  const { found } = figure;
  const [bad, , valid] = [...found.matchAll(/([\d.]+) µs/g)].map(([, us]) => Number(us));
  const accounts = Number(/(\d+) accounts/.exec(found)?.[1]);
  return {
    ...figure,
    bound: "bad tokens take long and all accounts stay, which AU6 notices",
    holds: !figure.holds && bad! > valid! && accounts > mostAccounts,
  };
}

async function flooded(
  server: TokenServer,
  flood: Program,
  client: Client,
  seconds: number,
): Promise<Wave> {
  const { address } = server;
  const guarded = createGuardedServiceClient(client);
  let known = "";
  const load = new SteadyCalls(200, (turn) => {
    // Of twenty calls one has a token that the server has not seen.
    if (turn % 20 === 0) known = issuer.token({ claims });
    const metadata = { authorization: `Bearer ${known}` };
    return guarded.delete({ document: "a" }, { address, metadata, timeoutMs: 20_000 });
  });
  const before = await cpuUsOf(server);
  flood.send("start");
  await sleep(seconds * 1_000);
  flood.send("stop");
  const { perSecond, calls } = (await flood.told("flooded")) as Record<string, number>;
  const cpuUs = ((await cpuUsOf(server)) - before) / calls!;
  await load[Symbol.asyncDispose]();
  return { perSecond: perSecond!, cpuUs, calls: load.calls };
}

function p90Ms({ calls }: Wave): number {
  const times = calls.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.9)] ?? Number.POSITIVE_INFINITY;
}

interface Memory {
  readonly usedMiB: number;
  readonly accounts: number;
}

async function cpuUsOf({ program }: TokenServer): Promise<number> {
  const told = program.told("cpuUs");
  program.send("cpuUs");
  return (await told) as number;
}

async function memoryOf({ program }: TokenServer): Promise<Memory> {
  const told = program.told("memory");
  program.send("memory");
  return (await told) as Memory;
}

async function startFlood(address: string, rate: number, key: string): Promise<Program> {
  const words = [address, `${rate}`, issuer.token({ claims }), key];
  const program = startProgram(new URL("flood.ts", import.meta.url), {}, words);
  await program.told("ready");
  return program;
}

async function startTokens(address: string): Promise<Program> {
  const { kid, privateKey } = issuer.keys.EdDSA;
  const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  const words = [address, issuer.issuer, issuer.audience, kid, pem];
  const program = startProgram(new URL("many-tokens.ts", import.meta.url), {}, words);
  await program.told("ready");
  return program;
}

async function callWithTokens(server: TokenServer, source: Program, count: number) {
  const told = source.told("called");
  const before = await cpuUsOf(server);
  source.send(`${count}`);
  const called = (await told) as { failed: number; error?: string };
  return { ...called, cpuUs: ((await cpuUsOf(server)) - before) / count };
}

/** Serves the key set of the issuer. */
async function serveKeys(): Promise<AsyncDisposable & { readonly url: string }> {
  const text = JSON.stringify({ keys: issuer.jwks });
  const server = createServer((_, response) => response.end(text));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
