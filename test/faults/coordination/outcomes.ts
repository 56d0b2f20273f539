import { setTimeout as sleep } from "node:timers/promises";
import { asMicroError, type Outcome } from "@micro-es/runtime";
import { FaultProxy } from "../../support/proxy.ts";
import { type AttemptedWrite, checkOutcomes } from "../check-outcomes.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import {
  type Records,
  recordsAt,
  type StartCoordinationServer,
  syncAt,
  through,
} from "./server.ts";

const text = (value: string) => new TextEncoder().encode(value);
/** All of them are on their way at once, also to a Consul agent. */
const batchSize = 16;

/**
 * Links are cut between request and response; reported outcomes are compared with the facts.
 * @param flaw changes the reported outcomes of writes, to prove that this is noticed.
 */
export async function responsesLost(
  startServer: StartCoordinationServer,
  length: Length,
  flaw?: (records: Records) => Records,
): Promise<Figure> {
  const sizes = { short: [320, 40], long: [10_000, 1_000] } as const;
  const [writes, renewals] = flaw === undefined ? sizes[length] : [batchSize, 0];
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.port);
  await using records = recordsAt(through(server, proxy.port));
  const flawed = flaw?.(records) ?? records;
  await using direct = recordsAt(server.url);
  const attempts: AttemptedWrite[] = [];
  for (let at = 0; at < writes; at += batchSize) {
    const keys = Array.from(
      { length: Math.min(batchSize, writes - at) },
      (_, index) => `key/${at + index}`,
    );
    attempts.push(...(await cutOff(keys, flawed, direct, proxy)));
  }
  const lost = await renewalsCut(through(server, proxy.port), proxy, renewals);
  const { unknown, unknownHappened, contradicted, missing, ghosts } = checkOutcomes(attempts);
  return {
    id: "O1",
    recipe: `${writes} writes cut off from their responses, ${renewals} renewals cut off at a random time`,
    found: `${unknown} reported as unknown, ${unknownHappened} of which happened; ${contradicted} reported as not executed that happened, ${missing} as done that did not, ${ghosts} that overwrote a later one; ${lost} locks lost`,
    bound: "more than 0 unknown that happened (the cuts take effect); 0, 0, 0; 0",
    holds: unknownHappened > 0 && contradicted + missing + ghosts + lost === 0,
  };
}

/** Writes keys whose responses are lost, and then writes them by another client. */
async function cutOff(
  keys: readonly string[],
  records: Records,
  direct: Records,
  proxy: FaultProxy,
): Promise<readonly AttemptedWrite[]> {
  await until(async () => (await records.read("none")) === undefined, 20_000, 20);
  const readAll = () => Promise.all(keys.map((key) => direct.read(key)));
  proxy.swallowResponses(true);
  const writing = keys.map((key) =>
    records.write(key, text("first")).then(
      (): Outcome => "executed",
      (error: unknown) => asMicroError(error).outcome,
    ),
  );
  await until(async () => (await readAll()).every((record) => record !== undefined), 2_000);
  proxy.cut();
  proxy.swallowResponses(false);
  const found = await readAll();
  await Promise.all(keys.map((key) => direct.write(key, text("second"))));
  const outcomes = await Promise.all(writing);
  const last = await readAll();
  return outcomes.map((told, index) => ({
    told,
    happened: found[index] !== undefined,
    laterStays: new TextDecoder().decode(last[index]?.value) === "second",
  }));
}

/** How many locks are lost although they could be renewed in time. */
async function renewalsCut(url: string, proxy: FaultProxy, renewals: number): Promise<number> {
  await using sync = syncAt(url);
  let lost = 0;
  for (let turn = 0; turn < renewals; turn++) {
    const lock = await sync.lock(`lock ${turn}`, { ttlMs: 60_000, renewal: "manual" });
    const renewal = lock.renew().catch(() => {});
    await sleep(Math.random() * 4);
    proxy.cut();
    await renewal;
    const renewed = until(async () => {
      await lock.renew();
      return true;
    }, 20_000);
    if (!Number.isFinite(await renewed) || !lock.held) lost++;
    const released = await until(() => lock.unlock(), 20_000);
    if (!Number.isFinite(released)) lost++;
  }
  return lost;
}
