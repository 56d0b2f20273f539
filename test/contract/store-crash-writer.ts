import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { fileStore } from "@micro-es/runtime/store/file";

/*
 * Writes to the store in argv[2] until it is killed, from the sequence number in argv[3] on. Each
 * line on standard output is one fact: "begin <seq> <key> <put|delete>" before a change, "done
 * <seq> <key>" once it was acknowledged.
 */
const store = fileStore({ path: process.argv[2]!, sync: process.argv[4] === "sync" });
let seq = Number(process.argv[3]);
const say = (line: string) => writeSync(1, `${line}\n`);
await store.open();
say("open");

async function write(lane: number): Promise<void> {
  for (;;) {
    // Lanes share no keys, so the changes of a key are in the order of their numbers.
    const number = ++seq;
    const key = `key-${lane}-${number % 5}`;
    if (number % 11 === 0) {
      say(`begin ${number} ${key} delete`);
      await store.delete(key);
    } else {
      const filler = "x".repeat((number * 7919) % 20_000);
      const text = `${number} ${filler}`;
      const digest = createHash("sha256").update(`${key} ${text}`).digest("hex");
      say(`begin ${number} ${key} put`);
      await store.write(key, new TextEncoder().encode(`${digest} ${text}`));
    }
    say(`done ${number} ${key}`);
  }
}
await Promise.all(Array.from({ length: 8 }, (_, lane) => write(lane)));
