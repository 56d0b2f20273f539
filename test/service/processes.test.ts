import { type Client, createClient, createService, MicroError } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EchoedSchema } from "../gen/micro/test/v1/echo_pb.ts";
import { echo } from "../support/echo.ts";
import { ownFleet, type Program, startProgram } from "../support/process.ts";

// Services in processes of their own, over the defaults: mDNS, native TCP, the HTTP broker.

const fleet = ownFleet();
const program = new URL("programs/echo-service.ts", import.meta.url);
const echoed = createTopic({ name: "echo.echoed", codec: protobufCodec(EchoedSchema) });

async function startEcho(name: string, environment: Record<string, string> = {}): Promise<Program> {
  const started = startProgram(program, { ...fleet, ECHO_SERVER: name, ...environment });
  await started.told("ready");
  return started;
}

/** Resolves when calls of the client reach all of these servers. */
async function reached(client: Client, ...names: readonly string[]): Promise<void> {
  const seen = new Set<string>();
  await expect
    .poll(
      async () => {
        const { server } = await client.unary(echo.echo, {}, { timeoutMs: 5_000 });
        seen.add(server);
        return names.every((name) => seen.has(name));
      },
      { interval: 5 },
    )
    .toBe(true);
}

describe("services in separate processes", () => {
  let client: Client;
  beforeAll(() => {
    client = createClient({ environment: fleet });
  });
  afterAll(() => client.close());

  test("are found by name, called in all four kinds, and finish calls in flight at SIGTERM", async () => {
    await using server = await startEcho("red");
    expect(await client.unary(echo.echo, { text: "hi" })).toMatchObject({
      text: "hi",
      server: "red",
    });
    const ticks: number[] = [];
    for await (const { index } of client.serverStream(echo.repeat, { count: 3 })) ticks.push(index);
    expect(ticks).toEqual([0, 1, 2]);
    const requests = [{ text: "a" }, { text: "b" }];
    expect((await client.clientStream(echo.collect, requests)).text).toBe("a b");
    const lines: string[] = [];
    for await (const { text } of client.bidi(echo.chat, requests)) lines.push(text);
    expect(lines).toEqual(["a", "b"]);

    const inFlight = client.unary(echo.once, { text: "slow", delayMs: 600 });
    await server.told("begun slow");
    server.kill("SIGTERM");
    expect((await inFlight).text).toBe("slow");
    expect(await server.ended).toBe(0);
    expect(server.stderr).toBe("");
    const error = await client.unary(echo.echo, {}, { timeoutMs: 300 }).catch((it: unknown) => it);
    expect(error).toBeInstanceOf(MicroError);
    expect((error as MicroError).outcome).toBe("not-executed");
  });

  test("a rolling restart under load fails no call, and a kill does", async () => {
    let [red, blue] = await Promise.all([startEcho("red"), startEcho("blue")]);
    const failures: unknown[] = [];
    let calls = 0;
    let busy = true;
    const caller = async () => {
      while (busy) {
        calls++;
        await client
          .unary(echo.once, { delayMs: 5 })
          .catch((error: unknown) => failures.push(error));
      }
    };
    try {
      await reached(client, "red", "blue");
      const callers = Promise.all(Array.from({ length: 8 }, caller));

      red.kill("SIGTERM");
      expect(await red.ended).toBe(0);
      red = await startEcho("red 2");
      await reached(client, "red 2");
      blue.kill("SIGTERM");
      expect(await blue.ended).toBe(0);
      blue = await startEcho("blue 2");
      await reached(client, "blue 2");
      busy = false;
      await callers;
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThan(500);

      // The same call notices a server that goes without draining.
      blue.kill("SIGTERM");
      await blue.ended;
      const cut = client.unary(echo.once, { text: "hang" }).catch((error: unknown) => error);
      await red.told("begun hang");
      red.kill("SIGKILL");
      expect(await cut).toMatchObject({ code: "unavailable", outcome: "unknown" });
    } finally {
      busy = false;
      await red[Symbol.asyncDispose]();
      await blue[Symbol.asyncDispose]();
    }
  }, 60_000);

  test("events reach each subscriber, and one member of each group, across processes", async () => {
    const heard: Record<string, number[]> = { red: [], blue: [], alone: [] };
    const programs = await Promise.all(
      Object.keys(heard).map(async (name) => {
        const queue = name === "alone" ? {} : { ECHO_QUEUE: "counters" };
        const started = await startEcho(name, queue as Record<string, string>);
        const listen = async () => {
          for (;;) heard[name]?.push(Number(await started.told("heard")));
        };
        void listen().catch(() => {});
        return started;
      }),
    );
    await using publisher = createService({ name: "publisher", environment: fleet });
    try {
      await publisher.start();
      const numbers = Array.from({ length: 30 }, (_, index) => index);
      for (const number of numbers) await echoed.publish(publisher.broker, { number });
      const sorted = (name: string) => heard[name]?.toSorted((a, b) => a - b);
      await expect.poll(() => sorted("alone")).toEqual(numbers);
      heard.group = [];
      await expect
        .poll(() => [...(heard.red ?? []), ...(heard.blue ?? [])].toSorted((a, b) => a - b))
        .toEqual(numbers);
      expect(heard.red?.length).toBeGreaterThan(0);
      expect(heard.blue?.length).toBeGreaterThan(0);
    } finally {
      for (const started of programs) started.kill("SIGTERM");
      expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    }
  }, 30_000);

  test("a second one on the same port ends with a clear error, and the first keeps running", async () => {
    await using first = startProgram(program, { ...fleet, ECHO_SERVER: "first" });
    const [address] = (await first.told("ready")) as [string];
    await using second = startProgram(program, { ...fleet, MICRO_ADDRESS: address });
    expect(await second.ended).toBe(1);
    expect(second.stderr).toContain(`service echo cannot listen at ${address}`);
    expect(second.stderr).toMatch(/already_exists/);
    expect(second.stderr).toContain("port 0 takes a free one");
    expect((await client.unary(echo.echo, {}, { address })).server).toBe("first");
    first.kill("SIGINT");
    expect(await first.ended).toBe(0);
  });

  test("a second signal does not wait for a handler that hangs", async () => {
    await using server = await startEcho("stubborn", {
      MICRO_GRACE: "1m",
      MICRO_LOG_LEVEL: "info",
    });
    const hanging = client.unary(echo.once, { text: "hang" }).catch((error: unknown) => error);
    await server.told("begun hang");
    server.kill("SIGTERM");
    await expect.poll(() => server.stderr).toContain("told to stop");
    // At once it would pass for the same signal, handed on by npm.
    const tellAgain = () => {
      server.kill("SIGTERM");
      return server.stderr;
    };
    await expect.poll(tellAgain, { interval: 400 }).toContain("second stop signal");
    expect(await server.ended).toBe(128 + 15);
    expect(await hanging).toBeInstanceOf(MicroError);
  });

  test("after the stop nothing is open, and the process exits", async () => {
    const ran = startProgram(new URL("programs/all-at-once.ts", import.meta.url), fleet);
    await using _ended = ran;
    const open = (await ran.told("open")) as string[];
    // Only the process's own streams and its channel to this test remain.
    expect(open.filter((name) => !/Pipe|TTY/.test(name))).toEqual([]);
    expect(await ran.ended).toBe(0);
    expect(ran.stderr).toBe("");
  });
});
