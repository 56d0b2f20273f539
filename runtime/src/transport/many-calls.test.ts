import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { answering, outgoing } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";
import { asMicroError } from "../base/error.ts";
import { tcpTransport } from "./tcp/transport.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  return process.memoryUsage().heapUsed;
}

test("releases ten thousand calls that one signal aborts, and notifies every handler", async () => {
  const transport = tcpTransport();
  let started = 0;
  let fired = 0;
  let allStarted = () => {};
  let allFired = () => {};
  const count = 10_000;
  const dispatcher = answering({
    unary: (_request, call) =>
      new Promise((_resolve, reject) => {
        call.signal.addEventListener("abort", () => {
          if (++fired === count) allFired();
          reject(call.signal.reason);
        });
        if (++started === count) allStarted();
      }),
  });
  const listener = await transport.listen("127.0.0.1:0", dispatcher);
  const channel = await transport.dial(listener.address);
  const round = async () => {
    started = fired = 0;
    const controller = new AbortController();
    const running = new Promise<void>((resolve) => {
      allStarted = resolve;
    });
    const told = new Promise<void>((resolve) => {
      allFired = resolve;
    });
    const call = () =>
      channel.unary(echo.echo, {}, outgoing({ signal: controller.signal, timeoutMs: 60_000 }));
    const calls = Array.from({ length: count }, () => call().catch((reason) => reason));
    await running;
    expect(channel.openCalls).toBe(count);
    controller.abort();
    const codes = (await Promise.all(calls)).map((error) => asMicroError(error).code);
    expect(new Set(codes)).toEqual(new Set(["canceled"]));
    await told;
  };
  await round();
  const before = await heapBytes();
  await round();
  const grown = (await heapBytes()) - before;
  expect(channel.openCalls).toBe(0);
  expect(listener.openCalls).toBe(0);
  // A tenth of what 10,000 calls hold: the rest is the engine's own.
  expect(grown).toBeLessThan(2 * 1024 * 1024);
  await channel.close();
  await listener.close();
}, 30_000);

test("keeps nothing of connections that open and close", async () => {
  const transport = tcpTransport();
  const dispatcher = answering({ unary: () => ({ text: "here" }) });
  const listener = await transport.listen("127.0.0.1:0", dispatcher);
  const comeAndGo = async (times: number) => {
    for (let time = 0; time < times; time += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const channel = await transport.dial(listener.address);
          await channel.unary(echo.echo, {}, outgoing());
          await channel.close();
        }),
      );
    }
    await expect.poll(() => listener.connections).toBe(0);
  };
  await comeAndGo(500);
  const before = await heapBytes();
  await comeAndGo(1_000);
  expect((await heapBytes()) - before).toBeLessThan(1024 * 1024);
  await listener.close();
}, 30_000);
