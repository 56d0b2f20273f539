import { echo } from "../../support/echo.ts";
import { ownFleet } from "../../support/process.ts";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { clientOf, protocols } from "./calls.ts";
import { RestartableServer } from "./servers.ts";

/** Slack for a busy machine, in milliseconds. */
const slackMs = 1_000;

/** All traffic to and from one of two servers is dropped, without notice to either end. */
export async function serverHalfOpen(length: Length): Promise<Figure> {
  const [keepaliveIntervalMs, keepaliveTimeoutMs] =
    length === "long" ? [10_000, 5_000] : [2_000, 1_000];
  const deadMs = keepaliveIntervalMs + keepaliveTimeoutMs;
  const found: string[] = [];
  let holds = true;
  for (const protocol of protocols) {
    const environment = ownFleet();
    await using silent = await RestartableServer.start(environment);
    await using sound = await RestartableServer.start(environment);
    await using proxy = await FaultProxy.start(Number(silent.address.split(":")[1]));
    const proxied = `127.0.0.1:${proxy.port}`;
    await using of = await clientOf([proxied, sound.address], protocol, {
      keepaliveIntervalMs,
      keepaliveTimeoutMs,
    });
    const { client } = of;
    const servers = new Set<string>();
    const reached = async () => {
      servers.add((await client.unary(echo.echo, {}, { timeoutMs: 5_000 })).server);
      return servers.size === 2;
    };
    await until(reached, 20_000);
    // These wait longer than everything else, so those on the dead connection reveal when it is
    // detected.
    const waiting = new AbortController();
    const deaths: number[] = [];
    const long = Array.from({ length: 16 }, () =>
      client
        .unary(echo.once, { delayMs: 60_000 }, { signal: waiting.signal, timeoutMs: 90_000 })
        .catch(() => deaths.push(performance.now())),
    );
    // The silence begins after a response, which both have sent here.
    servers.clear();
    await until(reached, 20_000);
    proxy.swallow(true);
    const began = performance.now();
    const timeoutMs = deadMs / 3;
    // The deadline comes before the connection is known to be dead.
    const late: number[] = [];
    const calls = Array.from({ length: 20 }, async () => {
      const start = performance.now();
      await client
        .unary(echo.once, { delayMs: 10 }, { timeoutMs, retry: false })
        .catch(() => late.push(performance.now() - start - timeoutMs));
    });
    await Promise.all(calls);
    await until(() => deaths.length > 0, deadMs + 10_000);
    const deadAfterMs = deaths[0]! - began;
    const start = performance.now();
    const answer = await client.unary(echo.once, {}, { timeoutMs: 20_000 });
    const nextMs = performance.now() - start;
    const latest = Math.max(0, ...late);
    found.push(
      `${protocol}: ${late.length} of 20 calls ended by their deadline, at most ${latest.toFixed(0)} ms after it; dead after ${deadAfterMs.toFixed(0)} ms; the next call handled by the other in ${nextMs.toFixed(0)} ms`,
    );
    holds &&= late.length > 0 && latest < slackMs && deadAfterMs < deadMs + slackMs;
    holds &&= answer.server === sound.address && nextMs < 1_000;
    waiting.abort();
    await Promise.all(long);
  }
  return {
    id: "R9",
    recipe: `1 of 2 servers half-open: no bytes pass and the connection stays open (keepalive ${keepaliveIntervalMs} + ${keepaliveTimeoutMs} ms)`,
    found: found.join("; "),
    bound: `no call outlives its deadline, dead within ${deadMs} ms (and ${slackMs} ms for a busy machine), then the other responds within 1 s`,
    holds,
  };
}
