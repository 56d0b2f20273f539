import { join } from "node:path";
import { echo } from "../../support/echo.ts";
import { ownFleet } from "../../support/process.ts";
import { FaultProxy } from "../../support/proxy.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";
import { CallLedger, clientOf, protocols } from "./calls.ts";
import { RestartableServer } from "./servers.ts";

/** Calls in flight at each cut. */
const atOnce = 32;

/** Connections are cut while non-repeatable calls are waiting for their responses. */
export async function connectionsCut(length: Length): Promise<Figure> {
  const rounds = Math.ceil((length === "long" ? 10_000 : 256) / atOnce);
  const found: string[] = [];
  let holds = true;
  for (const protocol of protocols) {
    using scratch = scratchDirectory();
    await using server = await RestartableServer.start(ownFleet(), join(scratch.path, "s.ledger"));
    await using proxy = await FaultProxy.start(Number(server.address.split(":")[1]));
    const port = `127.0.0.1:${proxy.port}`;
    const options = { timeoutMs: 60_000, address: protocol === "grpc" ? `http://${port}` : port };
    const ledger = new CallLedger();
    const executed = () => readLedgers<{ id: string }>(scratch.path).map(({ id }) => id);
    for (let round = 1; round <= rounds; round++) {
      // A client of its own: one whose connections are cut repeatedly dials less and less often.
      await using of = await clientOf([port], protocol);
      const calls = Array.from({ length: atOnce }, (_, index) => {
        const id = `call-${round}-${index}`;
        const request = { text: id, delayMs: 300 };
        return ledger.note(id, of.client.unary(echo.once, request, options));
      });
      await until(() => executed().length >= round * atOnce, 5_000);
      proxy.cut();
      await Promise.all(calls);
    }
    await server.stop();
    const { duplicates, lost, contradicted, unsure } = checkDelivery(ledger, executed());
    found.push(
      `${protocol}: ${ledger.unsure.size} reported as unknown (${unsure} of them ran), ${ledger.refused.size} as not executed (${contradicted} of them ran), ${ledger.acked.size} succeeded, ${duplicates} ran twice`,
    );
    const sound = duplicates === 0 && lost === 0 && contradicted === 0 && ledger.strange.size === 0;
    holds &&= sound && unsure > (rounds * atOnce) / 2;
  }
  return {
    id: "R3",
    recipe: `${rounds * atOnce} calls that must not be repeated, their connections cut between request and response`,
    found: found.join("; "),
    bound: "none runs twice, and every one that was cut off is reported as unknown, or did not run",
    holds,
  };
}
