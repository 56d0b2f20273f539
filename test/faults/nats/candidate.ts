import { join } from "node:path";
import { natsSync } from "@micro-es/runtime/sync/nats";
import { machineNow } from "../check-terms.ts";
import { Ledger } from "../ledger.ts";

/** Stands for leader for as long as it lives, and writes down when it began to lead and when it was told to stop. */
const { servers, directory, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  directory: string;
  ttlMs: number;
};
const ledger = new Ledger(join(directory, `candidate-${process.pid}.ledger`));
const sync = natsSync({ servers });
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
for (;;) {
  const leadership = await sync.lead("group", { ttlMs, candidate: `${process.pid}` });
  const epoch = Number(leadership.epoch);
  ledger.write({ kind: "leads", epoch, pid: process.pid, at: machineNow() });
  process.stdout.write(`leads ${epoch}\n`);
  await new Promise<void>((resolve) => {
    const { signal } = leadership;
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
  ledger.write({ kind: "told", epoch, pid: process.pid, at: machineNow() });
}
