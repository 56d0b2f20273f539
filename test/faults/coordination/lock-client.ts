import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MicroError } from "@micro-es/runtime";
import { Ledger } from "../ledger.ts";
import { recordsAt, syncAt } from "./server.ts";

/**
 * Takes a lock repeatedly and writes under it, once with its fence and once without. It never
 * checks whether it still holds the lock, just as a program that was paused between the check and
 * the write could not.
 */
const { url, directory, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  directory: string;
  ttlMs: number;
};
const ledger = new Ledger(join(directory, `lock-${process.pid}.ledger`));
const sync = syncAt(url);
const store = recordsAt(url);
process.stdout.write("ready\n");
const text = new TextEncoder().encode(String(process.pid));
for (;;) {
  try {
    const lock = await sync.lock("register", { ttlMs });
    const token = Number(lock.token);
    ledger.write({ kind: "grant", token });
    process.stdout.write("held\n");
    for (let write = 0; write < 3; write++) {
      await sleep(10);
      const unfenced = await store.write("unfenced", text);
      ledger.write({ kind: "unfenced", token, version: Number(unfenced) });
      const fence = { lock: "register", token: lock.token };
      const fenced = await store.write("fenced", text, { fence });
      ledger.write({ kind: "fenced", token, version: Number(fenced) });
    }
    await lock.unlock();
  } catch (error) {
    const fencedOff = error instanceof MicroError && error.code === "aborted";
    ledger.write({ kind: fencedOff ? "rejected" : "failed", message: String(error) });
  }
}
