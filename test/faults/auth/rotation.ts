import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  createClient,
  httpTransport,
  memoryRegistry,
  tcpTransport,
} from "@micro-es/runtime";
import { createGuardedServiceClient } from "../../gen/micro/test/v1/guarded_micro.ts";
import { type Program, startProgram } from "../../support/process.ts";
import { FaultProxy } from "../../support/proxy.ts";
import { type IssuedKey, issuedKey, TokenIssuer } from "../../support/token-issuer.ts";
import type { Figure, Length } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import { startTokenServer } from "./servers.ts";
import { SteadyCalls } from "./steady-calls.ts";

/** How often the keys are read, which varies by 20 %, in milliseconds. */
const refreshMs = 1_000;
/** A key is published for this long before it signs, and serves for this long after, in ms. */
const leadMs = 2 * refreshMs;
/**
 * The longest time until a removed key is dead, in milliseconds: a refresh, one that waits for a
 * slow issuer, and half a second for a busy machine.
 */
const deadMs = 1.2 * refreshMs + 2_000 + 500;

/** What happens to the issuer, or to the way to it, while keys rotate. Half of them are kills. */
const faultsOf = {
  short: ["kill", "half-open"],
  long: ["kill", "cut", "kill", "half-open", "kill", "slow"],
} as const;
type Fault = (typeof faultsOf)[Length][number];

/** A call's token. */
interface Presented {
  readonly key: IssuedKey;
  readonly text: string;
}

/** The keys of an issuer, as it publishes them, and when each was removed. */
class RotatingKeys {
  readonly issuer = new TokenIssuer("https://issuer.example", "guarded");
  readonly removedAt = new Map<IssuedKey, number>();
  /** The key that signs. */
  signing: IssuedKey = issuedKey("EdDSA");
  readonly file: string;
  #published: IssuedKey[] = [this.signing];

  constructor(file: string) {
    this.file = file;
    this.#write();
  }

  publish(key: IssuedKey): void {
    this.#published.push(key);
    this.#write();
  }

  /** @param planted only says so */
  remove(key: IssuedKey, planted: boolean): void {
    this.#published = this.#published.filter((it) => it !== key);
    if (!planted) this.#write();
    this.removedAt.set(key, performance.now());
  }

  token(key: IssuedKey): Presented {
    const claims = { scope: "documents.write" };
    return { key, text: this.issuer.token({ key, claims }) };
  }

  #write(): void {
    writeFileSync(this.file, JSON.stringify({ keys: this.#published.map(({ jwk }) => jwk) }));
  }
}

/**
 * Keys rotate under load, with the issuer killed or unreachable half of the time: no call with a
 * valid token is refused, and none with a token of a removed key is answered for long.
 *
 * @param planted keys sign at once when they are published, and are removed in name only
 */
async function rotations(length: Length, planted: boolean): Promise<Figure> {
  const rounds = planted ? 1 : length === "long" ? 10 : 2;
  const faults: readonly Fault[] = faultsOf[length];
  using scratch = scratchDirectory();
  const keys = new RotatingKeys(join(scratch.path, "keys.json"));
  const first = await startKeyServer(keys.file);
  let issuer = first.program;
  await using proxy = await FaultProxy.start(first.port);
  await using server = await startTokenServer(keys.issuer, {
    jwks: `http://127.0.0.1:${proxy.port}/jwks`,
    refreshMs,
  });
  const { address } = server;
  const clients = [tcpTransport(), httpTransport()].map((transport) =>
    createClient({ registry: memoryRegistry(), transports: [transport] }),
  );
  const callers = clients.map(createGuardedServiceClient);
  const addresses = [address, `http://${address}`];

  const results: { readonly key: IssuedKey; readonly sentAt: number; readonly failure?: string }[] =
    [];
  let known = keys.token(keys.signing);
  let removed: Presented[] = [];
  const call = async (turn: number) => {
    // Of ten calls one has a new token, and one a token of a key that was removed.
    if (turn % 10 === 0) known = keys.token(keys.signing);
    const last = removed.at(-1);
    const old =
      turn % 20 === 1 ? last : turn % 20 === 11 && last ? keys.token(last.key) : undefined;
    const { key, text } = old ?? known;
    const options: CallOptions = {
      address: addresses[turn % 2]!,
      metadata: { authorization: `Bearer ${text}` },
      timeoutMs: 10_000,
    };
    const sentAt = performance.now();
    try {
      await callers[turn % 2]!.delete({ document: "a" }, options);
      results.push({ key, sentAt });
    } catch (reason) {
      results.push({ key, sentAt, failure: String(reason) });
      throw reason;
    }
  };
  const load = new SteadyCalls(500, call);
  try {
    await sleep(refreshMs);
    for (let round = 0; round < rounds; round++) {
      const next = issuedKey("EdDSA");
      const previous = keys.signing;
      keys.publish(next);
      if (!planted) await sleep(leadMs);
      const fault = faults[round % faults.length]!;
      const during = keys.token(previous);
      await breakIssuer(fault, issuer, proxy);
      // The new key is known; tokens of the previous one still count.
      keys.signing = next;
      await sleep(leadMs + (fault === "half-open" ? 3_000 : 0));
      if (fault === "kill") issuer = (await startKeyServer(keys.file, first.port)).program;
      else restoreWay(fault, proxy);
      keys.remove(previous, planted);
      removed = [...removed, during];
      await sleep(deadMs);
      if (fault === "slow") issuer.send("fast");
    }
    await sleep(refreshMs);
  } finally {
    await load[Symbol.asyncDispose]();
    for (const client of clients) await client.close();
    await issuer[Symbol.asyncDispose]();
  }
  const { removedAt } = keys;
  const isAlive = ({ key, sentAt }: (typeof results)[number]) =>
    sentAt < (removedAt.get(key) ?? Number.POSITIVE_INFINITY);
  const refused = results.filter((it) => isAlive(it) && it.failure !== undefined);
  const answered = results.filter((it) => !isAlive(it) && it.failure === undefined);
  const latestMs = Math.round(
    Math.max(0, ...answered.map((it) => it.sentAt - removedAt.get(it.key)!)),
  );
  const late = answered.filter((it) => it.sentAt > removedAt.get(it.key)! + deadMs).length;
  const dead = results.filter((it) => !isAlive(it)).length;
  const used = [...new Set(faults.slice(0, rounds))].join(", ");
  return {
    id: planted ? "AU3-planted" : "AU3",
    recipe: `${rounds} key rotations under 500 calls/s, native and gRPC, the keys read each ${refreshMs} ms; the issuer in turn: ${used}`,
    found: `${refused.length} of ${results.length - dead} valid calls refused${refused.length > 0 ? ` (${refused[0]?.failure})` : ""}; of ${dead} calls with removed keys ${late} answered later than ${deadMs} ms, the last after ${latestMs} ms`,
    bound: `0 refused; 0 later than ${deadMs} ms`,
    holds: refused.length === 0 && late === 0 && dead > 0,
  };
}

export const keysRotated = (length: Length): Promise<Figure> => rotations(length, false);

/** What the recipe finds where keys sign before they are known, and are not really removed. */
export async function keysSwapped(): Promise<Figure> {
  const figure = await rotations("short", true);
  const { found } = figure;
  return {
    ...figure,
    bound: "valid calls are refused, and a removed key lives on, which AU3 notices",
    holds: !figure.holds && !/^0 of/.test(found) && !/ 0 answered later/.test(found),
  };
}

async function breakIssuer(fault: Fault, issuer: Program, proxy: FaultProxy): Promise<void> {
  switch (fault) {
    case "kill":
      issuer.kill("SIGKILL");
      await issuer.ended;
      return;
    case "cut":
      proxy.refuse(true);
      proxy.cut();
      return;
    case "half-open":
      proxy.swallow(true);
      return;
    case "slow":
      issuer.send("slow");
  }
}

/** A slow issuer stays slow until the removed key is dead. */
function restoreWay(fault: Fault, proxy: FaultProxy): void {
  proxy.refuse(false);
  proxy.swallow(false);
  // Its connections lack the bytes that were dropped.
  if (fault === "half-open") proxy.cut();
}

async function startKeyServer(
  file: string,
  port = 0,
): Promise<{ readonly program: Program; readonly port: number }> {
  const program = startProgram(new URL("key-server.ts", import.meta.url), {}, [file, `${port}`]);
  const { port: actual } = (await program.told("listening")) as { port: number };
  return { program, port: actual };
}
