import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import {
  createGuardedServiceClient,
  type GuardedServiceClient,
} from "../../gen/micro/test/v1/guarded_micro.ts";
import { type Program, startProgram } from "../../support/process.ts";
import { TokenIssuer } from "../../support/token-issuer.ts";
import type { Figure, Length } from "../figure.ts";
import { startTokenServer, type TokenServer } from "./servers.ts";
import { type SteadyCall, SteadyCalls } from "./steady-calls.ts";

/**
 * How much longer others' calls may take than while the calls have no credential; in addition, in
 * milliseconds, what a busy machine adds.
 */
const mostTimes = 2;
const busyMs = 50;
const mostMiB = 20;
/** The accounts that a server remembers, and those that calls still use. */
const mostAccounts = 10_000 + 64;

const issuer = new TokenIssuer("https://issuer.example", "guarded");
const claims = { scope: "documents.write" };

/** More tokens than are remembered, so that whatever comes later should take no more memory. */
const firstTokens = 11_000;
/**
 * By how many calls a second a server is flooded, how often and for how long, in seconds; and the
 * different valid tokens.
 */
const sizes = {
  short: { rate: 10_000, turns: 8, seconds: 0.65, tokens: 13_000 },
  long: { rate: 10_000, turns: 30, seconds: 1, tokens: 1_000_000 },
  planted: { rate: 30, turns: 2, seconds: 1, tokens: 12_000 },
} as const;

/** A flood, and the calls of others meanwhile. */
interface Wave {
  readonly perSecond: number;
  readonly calls: readonly SteadyCall[];
}

/**
 * A server is flooded with calls whose tokens have invalid signatures, each another one, from 100
 * connections, in turns with the same calls without a credential, which it refuses as well; others
 * call it with valid tokens meanwhile. Then it gets more valid tokens than it remembers.
 *
 * @param fault planted in the server
 */
async function floods(id: string, length: Length, fault: string): Promise<Figure> {
  const { rate, turns, seconds, tokens } = sizes[fault === "" ? length : "planted"];
  await using keys = await serveKeys();
  const place = { jwks: keys.url, refreshMs: 300_000 };
  await using server = await startTokenServer(issuer, place, fault, ["--expose-gc"]);
  const { address } = server;
  await using client = createClient({ registry: memoryRegistry(), transports: [tcpTransport()] });
  const others = createGuardedServiceClient(client);
  await using anonymous = await startFlood(address, rate, "x-no-credential");
  await using invalid = await startFlood(address, rate, "authorization");
  // The code of all is compiled by then.
  await wave(anonymous, others, address, 1);
  await wave(invalid, others, address, 1);
  const before = await memoryOf(server);
  const [control, attacked]: [Wave[], Wave[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    control.push(await wave(anonymous, others, address, seconds));
    attacked.push(await wave(invalid, others, address, seconds));
  }
  const after = await memoryOf(server);
  await using source = await startTokens(address);
  const calls = attacked.flatMap((it) => it.calls);
  const failures = calls.filter(({ failure }) => failure !== undefined);
  const first = await callWithTokens(source, firstTokens);
  const filled = await memoryOf(server);
  const rest = await callWithTokens(source, tokens - firstTokens);
  const full = await memoryOf(server);
  const usualMs = p99Ms(control.flatMap((it) => it.calls));
  const floodedMs = p99Ms(calls);
  const mostMs = mostTimes * usualMs + busyMs;
  const [floodMiB, tokensMiB] = [after.usedMiB - before.usedMiB, full.usedMiB - filled.usedMiB];
  const reached = Math.round(median(attacked.map(({ perSecond }) => perSecond)));
  const refused = first.failed + rest.failed;
  return {
    id,
    recipe: `${rate} calls/s with invalid signatures from 100 connections for ${Math.round(turns * seconds)} s, in turns with the same calls without a credential, next to 200 calls/s of others; then ${tokens} different valid tokens`,
    found: `${reached} bad calls/s; p99 of others ${floodedMs.toFixed(1)} ms, ${usualMs.toFixed(1)} ms next to calls without one, ${failures.length} of ${calls.length} failed${failures.length > 0 ? ` (${failures[0]?.failure})` : ""}; ${floodMiB.toFixed(1)} MiB more; ${refused} valid tokens refused${refused > 0 ? ` (${first.error ?? rest.error})` : ""}, ${full.accounts} accounts remembered, ${tokensMiB.toFixed(1)} MiB more after the first ${firstTokens}`,
    bound: `${mostTimes} times (and ${busyMs} ms for a busy machine), 0 failed, ${mostMiB} MiB; 0 refused, ${mostAccounts} accounts, ${mostMiB} MiB`,
    holds:
      floodedMs <= mostMs &&
      failures.length === 0 &&
      floodMiB <= mostMiB &&
      refused === 0 &&
      full.accounts <= mostAccounts &&
      tokensMiB <= mostMiB,
  };
}

export const tokensFlooded = (length: Length): Promise<Figure> => floods("AU6", length, "");

/** What the recipe finds where invalid tokens cost time, and what they prove is kept for ever. */
export async function floodsKept(): Promise<Figure> {
  const figure = await floods("AU6-planted", "short", "leaky");
  const { found } = figure;
  const [flooded, usual] = [...found.matchAll(/([\d.]+) ms/g)].map(([, ms]) => Number(ms));
  const accounts = Number(/(\d+) accounts/.exec(found)?.[1]);
  return {
    ...figure,
    bound: "others wait and all accounts stay, which AU6 notices",
    holds: !figure.holds && flooded! > mostTimes * usual! + busyMs && accounts > mostAccounts,
  };
}

async function wave(
  flood: Program,
  guarded: GuardedServiceClient,
  address: string,
  seconds: number,
): Promise<Wave> {
  let known = "";
  const load = new SteadyCalls(200, (turn) => {
    // Of twenty calls one has a token that the server has not seen.
    if (turn % 20 === 0) known = issuer.token({ claims });
    const metadata = { authorization: `Bearer ${known}` };
    return guarded.delete({ document: "a" }, { address, metadata, timeoutMs: 20_000 });
  });
  flood.send("start");
  await sleep(seconds * 1_000);
  flood.send("stop");
  const { perSecond } = (await flood.told("flooded")) as { perSecond: number };
  await load[Symbol.asyncDispose]();
  return { perSecond, calls: load.calls };
}

function p99Ms(calls: readonly SteadyCall[]): number {
  const times = calls.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY;
}

interface Memory {
  readonly usedMiB: number;
  readonly accounts: number;
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

async function callWithTokens(source: Program, count: number) {
  const told = source.told("called");
  source.send(`${count}`);
  return (await told) as { failed: number; error?: string };
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
