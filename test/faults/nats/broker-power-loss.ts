import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { type NatsServer, startNats } from "../../../drivers/nats/test/server.ts";
import { natsPrograms } from "../../../drivers/nats/test/servers.ts";
import { checkSyncedAcks, type SyncFigures } from "../check-sync.ts";
import type { Figure, Length } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";

/** The first release that can be configured to sync before it acknowledges. */
const firstSyncing = [2, 10];

/**
 * With `sync_interval: always` each acknowledgement follows a sync; without it, the same trace
 * shows that it does not.
 */
export async function acksFollowSyncs(length: Length): Promise<Figure> {
  const count = length === "long" ? 1_000 : 200;
  const program = natsPrograms().find(({ version }) => canSync(version));
  const recipe = `${count} events published one after another, the server's system calls traced`;
  const bound = "0 unsynced with sync_interval: always, more without (the checker detects it)";
  if (program === undefined) {
    const found = "not done: there is no nats-server of 2.10 or later; test/setup builds one";
    return { id: "B4", recipe, found, bound, holds: process.env.CI !== "true" };
  }
  if (spawnSync("strace", ["-V"]).status !== 0) {
    const found = "not done: there is no strace; test/setup installs it";
    return { id: "B4", recipe, found, bound, holds: process.env.CI !== "true" };
  }
  const config = "jetstream { sync_interval: always }";
  const durable = await traced(program.path, config, count);
  const usual = await traced(program.path, "", count);
  return {
    id: "B4",
    recipe: `${recipe} (nats-server ${program.version})`,
    found: `${durable.unsynced} of ${durable.acks} acknowledged before a sync, ${usual.unsynced} of ${usual.acks} with the server's defaults`,
    bound,
    holds: durable.acks === count && durable.unsynced === 0 && usual.unsynced > 0,
  };
}

function canSync(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [firstMajor = 0, firstMinor = 0] = firstSyncing;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

async function traced(program: string, config: string, count: number): Promise<SyncFigures> {
  using scratch = scratchDirectory();
  await using server = await startNats({ program, config });
  await using broker = jetstreamBroker({ servers: server.url, logger: silentLogger });
  const event = { contentType: "text/plain", typeName: "" };
  // The stream exists before the trace begins, so that its numbers are those of the events.
  await broker.publish("work", { ...event, body: Buffer.from("before") });
  const file = join(scratch.path, "trace");
  const stop = await trace(server, file);
  for (let number = 2; number <= count + 1; number++) {
    await broker.publish("work", { ...event, body: Buffer.from(`<<${number}>>`) });
  }
  await stop();
  return checkSyncedAcks(readFileSync(file, "utf8"), (text) => {
    const [, sequence] = /MSG _INBOX.*\\"seq\\":(\d+)/.exec(text) ?? [];
    return sequence === undefined ? undefined : Number(sequence);
  });
}

/** Traces the server; the returned function ends that. */
async function trace(server: NatsServer, file: string): Promise<() => Promise<void>> {
  const calls = "trace=write,pwrite64,writev,fsync,fdatasync";
  const strace = spawn(
    "strace",
    ["-f", "-p", `${server.pid}`, "-o", file, "-s", "1000", "-e", calls],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let said = "";
  strace.stderr.on("data", (text) => {
    said += text;
  });
  const exited = once(strace, "exit");
  const attached = await until(() => said.includes("attached"), 5_000);
  if (attached === Number.POSITIVE_INFINITY) throw new Error(`strace does not attach: ${said}`);
  return async () => {
    strace.kill("SIGINT");
    await exited;
  };
}
