import { describe, expect, test, vi } from "vitest";
import { type Program, startProgram } from "../support/process.ts";
import type { PortOptions } from "./event-port-program.ts";

// The first start bundles the program, which takes long on a busy machine.
vi.setConfig({ testTimeout: 90_000 });

const program = new URL("event-port-program.ts", import.meta.url);

/** A service in a process of its own, whose port for events other machines reach by default. */
function start(options: PortOptions, environment: Record<string, string> = {}): Program {
  const given = {
    ...{ MICRO_ADDRESS: "0.0.0.0:0", MICRO_ADVERTISE: "127.0.0.1", MICRO_REGISTRY: "memory" },
    ...{ MICRO_LOG_LEVEL: "warn", MICRO_LOG_FORMAT: "text", MICRO_DRAIN_DELAY: "0ms" },
    ...environment,
  };
  return startProgram(program, given, [JSON.stringify(options)]);
}

/** The status of the response to an event that no one has signed. */
async function stranger(url: string): Promise<number> {
  const Header = { "Micro-Topic": "documents.changed", "Content-Type": "application/json" };
  const Body = Buffer.from('{"document":"forged"}').toString("base64");
  const { status } = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ Header, Body }),
  });
  return status;
}

const refusal =
  /service docs cannot start: its auth is for calls, .* at 0\.0\.0\.0:0 .*verify: \\?"required.*MICRO_BROKER_ADDRESS=127\.0\.0\.1:0.*verify: false/;

describe("a service with auth whose port for events other machines reach", () => {
  test("does not start without a decision, and says what to do in one line", async () => {
    await using service = start({});
    expect(await service.ended).toBe(1);
    expect(service.stderr.split("\n").filter((line) => refusal.test(line))).toHaveLength(1);
  });

  test("does not subscribe later either", async () => {
    await using service = start({ subscribes: "late" });
    expect(await service.ended).toBe(1);
    expect(service.stderr).toMatch(/cannot subscribe to documents\.changed: its auth is for calls/);
  });

  test.each<[string, PortOptions]>([
    ["verifies events", { verify: "required" }],
    ["has a broker that verifies them", { ownBroker: true }],
  ])("starts if it %s, and refuses those of strangers", async (_, options) => {
    await using service = start(options);
    expect(await stranger(String(await service.told("ready")))).toBe(401);
    await expect.poll(() => service.stderr).toContain("it is not signed");
  });

  test("starts if it says that it accepts all events, and warns", async () => {
    await using service = start({ verify: false });
    const url = String(await service.told("ready"));
    const handled = service.told("handled");
    expect(await stranger(url)).toBe(200);
    expect(await handled).toBe("forged");
    await expect
      .poll(() => service.stderr)
      .toMatch(/events are not verified: everyone who reaches the port/);
  });

  test("starts if it receives no events", async () => {
    await using service = start({ subscribes: "never" });
    await service.told("ready");
    expect(service.stderr).not.toMatch(/events/);
  });
});

test.each<[string, Record<string, string>]>([
  ["its port for events", { MICRO_BROKER_ADDRESS: "127.0.0.1:0" }],
  ["itself", { MICRO_ADDRESS: "127.0.0.1:0" }],
])("a service with auth that binds %s to its machine starts without a decision", async (_, at) => {
  await using service = start({}, at);
  expect(await stranger(String(await service.told("ready")))).toBe(200);
  expect(service.stderr).not.toMatch(/events/);
});
