import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { localRuntime } from "@micro-es/runtime/runtime/local";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { inCi, long } from "../support/long.ts";
import { type Program, startProgram } from "../support/process.ts";
import { type Survivor, survivors, survivorVariable } from "../support/survivors.ts";
import { inGuardScript, unpleasant } from "./services.ts";

const program = new URL("./supervisor.ts", import.meta.url);

/** A supervisor in a process of its own; all processes it starts are gone after the test. */
function supervisor(...words: string[]): { family: string; process: Program } {
  const family = randomUUID();
  onTestFinished(() => {
    for (const { pid } of survivors(family)) process.kill(pid, "SIGKILL");
  });
  return { family, process: startProgram(program, { [survivorVariable]: family }, words) };
}

function guardOf(family: string): Survivor | undefined {
  return survivors(family).find(({ command }) => command.includes(inGuardScript));
}

function killGuard(family: string): number {
  const guard = guardOf(family);
  assert.ok(guard);
  process.kill(guard.pid, "SIGKILL");
  return guard.pid;
}

describe("a supervisor that is killed", () => {
  test.each(["SIGKILL", "SIGTERM", "SIGHUP"] as const)(
    "by %s leaves no process",
    async (signal) => {
      const { family, process: killed } = supervisor("run");
      const pids = (await killed.told("runs")) as number[];
      expect(pids).toHaveLength(Object.keys(unpleasant).length);
      // Itself, its guard, and at least one process a service.
      expect(survivors(family).length).toBeGreaterThan(pids.length + 2);
      killed.kill(signal);
      await killed.ended;
      await expect.poll(() => survivors(family), { timeout: 15_000 }).toEqual([]);
    },
  );

  test("is detected when it leaves one", async () => {
    const { family, process: killed } = supervisor("forget");
    const [pid] = (await killed.told("runs")) as number[];
    killed.kill("SIGKILL");
    await killed.ended;
    expect(survivors(family)).toEqual([{ pid, command: "sleep 1000" }]);
  });

  test("leaves no process even if its guard was killed before", async () => {
    const { family, process: killed } = supervisor("run");
    await killed.told("runs");
    const first = killGuard(family);
    await expect.poll(() => guardOf(family)?.pid ?? first).not.toBe(first);
    killed.kill("SIGKILL");
    await killed.ended;
    await expect.poll(() => survivors(family), { timeout: 15_000 }).toEqual([]);
  });
});

describe("a supervisor that is killed as soon as it has started", () => {
  test("a service leaves no process", async () => {
    const { family, process: killed } = supervisor("die", "with a deaf daemon");
    expect(await killed.ended).toBe("SIGKILL");
    await expect.poll(() => survivors(family), { timeout: 15_000 }).toEqual([]);
  });

  test("another guard leaves no process", async () => {
    const { family, process: killed } = supervisor("die", "guard");
    await killed.told("runs");
    killGuard(family);
    expect(await killed.ended).toBe("SIGKILL");
    await expect.poll(() => survivors(family), { timeout: 15_000 }).toEqual([]);
  });
});

describe("a service that is deleted", () => {
  let family = "";
  afterEach(() => {
    for (const { pid } of survivors(family)) process.kill(pid, "SIGKILL");
  });

  test.each(Object.entries(unpleasant))("leaves no process when it is %s", async (_, script) => {
    family = randomUUID();
    await using runtime = localRuntime();
    const environment = { [survivorVariable]: family };
    const command = ["sh", "-c", script] as const;
    await runtime.create({ name: "service", command, environment, graceMs: 200 });
    for await (const _ of runtime.logs("service", { follow: true })) break;
    expect(survivors(family)).not.toEqual([]);
    await runtime.delete("service");
    expect(survivors(family)).toEqual([]);
  });
});

test.runIf(process.platform === "linux" && inCi)(
  "a service that writes a gigabyte grows its supervisor by less than 50 MB",
  { timeout: 120_000 },
  async () => {
    const { process: taking } = supervisor("gigabyte");
    const ended = (await taking.told("grownMb")) as number;
    expect(ended).toBeLessThan(50);
  },
);

const cycles = long ? 1_000 : 50;

test(`${cycles} starts and stops leave nothing behind`, { timeout: 300_000 }, async () => {
  const { family, process: cycling } = supervisor("cycles", String(cycles));
  const { kilobytes, ...left } = (await cycling.told("left")) as Record<string, number>;
  expect(left).toEqual({ descriptors: 0, resources: 0 });
  expect(kilobytes).toBeLessThan(1_000);
  // It ends by itself: no timer, process or pipe keeps it.
  expect(await cycling.ended).toBe(0);
  expect(survivors(family)).toEqual([]);
});
