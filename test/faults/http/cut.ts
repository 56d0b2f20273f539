import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { echo } from "../../support/echo.ts";
import { ownFleet } from "../../support/process.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { FaultProxy } from "../proxy.ts";
import { scratchDirectory } from "../scratch.ts";
import { CallLedger, clientOf, protocols } from "./calls.ts";
import { RestartableServer } from "./servers.ts";

/** Time between two cuts, in milliseconds. */
const cutEveryMs = 500;

/** Connections are cut while calls that must not be repeated have been asked and not answered. */
export async function connectionsCut(length: Length): Promise<Figure> {
  const wanted = length === "long" ? 10_000 : 500;
  const found: string[] = [];
  let holds = true;
  for (const protocol of protocols) {
    using scratch = scratchDirectory();
    await using server = await RestartableServer.start(ownFleet(), join(scratch.path, "s.ledger"));
    await using proxy = await FaultProxy.start(Number(server.address.split(":")[1]));
    await using of = await clientOf([`127.0.0.1:${proxy.port}`], protocol);
    const { client } = of;
    const ledger = new CallLedger();
    const port = `127.0.0.1:${proxy.port}`;
    const options = { timeoutMs: 20_000, address: protocol === "grpc" ? `http://${port}` : port };
    let next = 0;
    let again = 0;
    const caller = async () => {
      while (next < wanted) {
        const id = `call-${next++}`;
        for (;;) {
          const call = client.unary(echo.once, { text: id, delayMs: 5 }, options);
          await ledger.note(id, call);
          // What certainly did not run may be sent again; were that not so, it would run twice.
          if (!ledger.refused.delete(id)) break;
          again++;
          await sleep(20);
        }
      }
    };
    let calling = true;
    const cutter = async () => {
      while (calling) {
        await sleep(cutEveryMs);
        proxy.cut();
      }
    };
    const cutting = cutter();
    await Promise.all(Array.from({ length: 32 }, caller));
    calling = false;
    await cutting;
    // What was cut off may still be at work.
    await sleep(200);
    await server.stop();
    const executed = readLedgers<{ id: string }>(scratch.path).map(({ id }) => id);
    const { duplicates, lost, contradicted, unsure } = checkDelivery(ledger, executed);
    found.push(
      `${protocol}: ${ledger.acked.size} answered, ${ledger.unsure.size} unknown (${unsure} of them ran), ${again} sent again as certainly not executed, ${duplicates} ran twice, ${proxy.cuts} cuts`,
    );
    const sound = duplicates === 0 && lost === 0 && contradicted === 0 && ledger.strange.size === 0;
    const proven = ledger.unsure.size > 0 && ledger.acked.size > wanted / 2;
    holds &&= sound && proven;
  }
  return {
    id: "R3",
    recipe: `${wanted} calls that must not be repeated, connections cut every ${cutEveryMs} ms between request and answer`,
    found: found.join("; "),
    bound:
      "none runs twice; every one that was cut off is told as unknown, and what is told as not executed did not run",
    holds,
  };
}
