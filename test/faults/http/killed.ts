import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { echo } from "../../support/echo.ts";
import { ownFleet } from "../../support/process.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { scratchDirectory } from "../scratch.ts";
import { CallLedger, clientOf, protocols } from "./calls.ts";
import { RestartableServer } from "./servers.ts";

/**
 * One of three servers is killed under load: repeatable calls succeed, and of the rest only those
 * on that server fail.
 */
export async function serverKilled(length: Length): Promise<Figure> {
  const found: string[] = [];
  let holds = true;
  for (const protocol of protocols) {
    using scratch = scratchDirectory();
    const environment = ownFleet();
    const servers = await Promise.all(
      [1, 2, 3].map((id) =>
        RestartableServer.start(environment, join(scratch.path, `${id}.ledger`)),
      ),
    );
    await using of = await clientOf(
      servers.map((it) => it.address),
      protocol,
    );
    const { client } = of;
    const once = new CallLedger();
    const repeatable = new CallLedger();
    /** The calls that were waiting for a response when the server was killed. */
    const open = new Set<string>();
    let inFlight = new Set<string>();
    try {
      const turns = length === "long" ? 6_000 : 1_500;
      const work: Promise<void>[] = [];
      for (let turn = 0; turn < turns; turn++) {
        if (turn === Math.floor(turns / 2)) {
          inFlight = new Set(open);
          void servers[0]?.stop("SIGKILL");
        }
        const id = `call-${turn}`;
        const call = client.unary(echo.once, { text: id, delayMs: 20 }, { timeoutMs: 20_000 });
        open.add(id);
        work.push(
          once.note(
            id,
            call.finally(() => open.delete(id)),
          ),
        );
        const again = client.unary(
          echo.echo,
          { text: id, delayMs: 20 },
          { timeoutMs: 20_000, retry: { attempts: 3 } },
        );
        work.push(repeatable.note(id, again));
        await sleep(4);
      }
      await Promise.all(work);
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
    const executed = readLedgers<{ id: string }>(scratch.path).map(({ id }) => id);
    const { duplicates, lost, contradicted } = checkDelivery(once, executed);
    const failedRepeatable =
      repeatable.unsure.size + repeatable.refused.size + repeatable.strange.size;
    // Calls sent between the kill and its detection were not open before; there must be only a
    // handful.
    const late = [...once.unsure].filter((id) => !inFlight.has(id)).length;
    found.push(
      `${protocol}: of ${once.acked.size + once.unsure.size + once.refused.size} not repeatable calls ${once.unsure.size} unknown, ${late} of them sent after the kill, ${once.refused.size} refused, ${duplicates} twice; ${failedRepeatable} of ${repeatable.acked.size + failedRepeatable} repeatable failed`,
    );
    const sound = duplicates === 0 && lost === 0 && contradicted === 0 && once.strange.size === 0;
    holds &&= sound && failedRepeatable === 0 && once.refused.size === 0 && late <= 20;
  }
  return {
    id: "R2",
    recipe: "1 of 3 servers killed with SIGKILL under 500 calls/s",
    found: found.join("; "),
    bound:
      "0 repeatable calls fail; of others only those in flight there, all unknown; none runs twice",
    holds,
  };
}
