/**
 * A program that runs services through the local runtime, for tests that kill it or look at what it
 * takes. The first word says what it does; the result goes to the test as a message.
 */
import childProcess, { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { RunSpec } from "@micro-es/runtime/runtime/local";
import { localRuntime } from "@micro-es/runtime/runtime/local";
import { inGuardScript, unpleasant } from "./services.ts";

const [what, ...words] = process.argv.slice(2);
const tell = (message: object) => process.send?.(message);
const shell = (name: string, script: string, more: Partial<RunSpec> = {}): RunSpec => ({
  name,
  command: ["sh", "-c", script],
  ...more,
});

switch (what) {
  case "run":
    await runUnpleasant();
    break;
  case "die":
    dieAfterStart(String(words[0]));
    await runUnpleasant();
    break;
  case "forget":
    forgetService();
    break;
  case "gigabyte":
    await takeGigabyte();
    break;
  case "cycles":
    await startAndStop(Number(words[0]));
    break;
  default:
    throw new Error(`there is no ${what}`);
}

/** Runs all kinds of services until it is killed. */
async function runUnpleasant(): Promise<void> {
  const runtime = localRuntime({ orphanGraceMs: 300 });
  for (const [name, script] of Object.entries(unpleasant)) {
    await runtime.create(shell(name, script, { readyText: "up" }));
    for await (const _ of runtime.logs(name, { follow: true })) break;
  }
  tell({ runs: (await runtime.list()).map(({ pid }) => pid) });
}

/**
 * Kills this process as soon as it has started what is named, a service or a guard in place of the
 * first one, and before it does anything else.
 */
function dieAfterStart(what: string): void {
  const text = what === "guard" ? inGuardScript : (unpleasant[what] ?? what);
  let before = what === "guard" ? 1 : 0;
  const start = childProcess.spawn;
  childProcess.spawn = ((program: string, args: string[], options: SpawnOptions): ChildProcess => {
    const child = start(program, args, options);
    if (args.some((argument) => argument.includes(text)) && before-- === 0) {
      process.kill(process.pid, "SIGKILL");
    }
    return child;
  }) as typeof start;
  syncBuiltinESMExports();
}

/** What no supervisor may do; the planted failure. */
function forgetService(): void {
  const { pid } = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  tell({ runs: [pid] });
  setInterval(() => {}, 1_000);
}

/**
 * Runs a service that writes a gigabyte, and reports by how many megabytes this process grew at the
 * most.
 */
async function takeGigabyte(): Promise<void> {
  const runtime = localRuntime();
  await runtime.create(shell("warm", "seq 100000", { restart: "never" }));
  await untilStopped("warm");
  collectGarbage();
  const before = memoryKb("VmRSS");
  const line =
    "a line of a hundred bytes, as services write them when they log with time, level and some fields";
  await runtime.create(
    shell("chatty", `yes '${line}' | head -c 1000000000; printf '%0100000d' 0`, {
      restart: "never",
    }),
  );
  await untilStopped("chatty");
  const grownMb = (memoryKb("VmHWM") - before) / 1024;
  const kept = [];
  for await (const log of runtime.logs("chatty")) kept.push(log);
  await runtime.close();
  tell({ grownMb, lines: kept.length, last: kept.at(-1) });

  function untilStopped(name: string): Promise<void> {
    return new Promise((resolve) => {
      const forget = runtime.onChange((status) => {
        if (status.name !== name || status.state !== "stopped") return;
        forget();
        resolve();
      });
    });
  }
}

/** Starts and stops a service this many times, and reports what it leaves behind. */
async function startAndStop(times: number): Promise<void> {
  // Code that the first rounds load and compile stays, and is not a leak.
  await cycle(20);
  const before = state();
  await cycle(times);
  const after = state();
  tell({
    left: {
      descriptors: after.descriptors - before.descriptors,
      resources: after.resources.length - before.resources.length,
      kilobytes: (after.heap - before.heap) / 1024,
    },
  });
  process.disconnect?.();

  async function cycle(rounds: number): Promise<void> {
    const runtime = localRuntime();
    for (let round = 0; round < rounds; round++) {
      await runtime.create(shell("brief", "sleep 1000 & exec sleep 1000"));
      if (round % 5 === 0) await runtime.update("brief");
      await runtime.delete("brief");
    }
    await runtime.close();
  }

  function state() {
    collectGarbage();
    const resources = process.getActiveResourcesInfo().filter((it) => it !== "PipeWrap");
    const descriptors = process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
    return { descriptors, resources, heap: process.memoryUsage().heapUsed };
  }
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

function memoryKb(figure: "VmRSS" | "VmHWM"): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`^${figure}:\\s*(\\d+)`, "m").exec(status)?.[1]);
}
