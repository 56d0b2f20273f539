import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { EchoProcess } from "../../../test/support/echo-process.ts";
import { Fleet } from "../../../test/support/fleet.ts";
import { MicroError } from "../base/error.ts";
import type { Method } from "../call/method.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import type { Client } from "./client.ts";

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet(tcpTransport(), "127.0.0.1:0");
});
afterEach(() => fleet[Symbol.asyncDispose]());

/** Makes calls from eight concurrent loops until it is stopped, or its test has ended. */
class Load {
  calls = 0;
  readonly failures: { readonly text: string; readonly error: MicroError }[] = [];
  readonly #sides: Promise<void>[];
  #running = true;

  constructor(client: Client, method: typeof echo.echo) {
    this.#sides = Array.from({ length: 8 }, async () => {
      while (this.#running) {
        const text = `${method.name.split("/")[1]}-${this.calls++}`;
        await client.unary(method, { text, delayMs: 1 }).catch(async (error: unknown) => {
          if (!(error instanceof MicroError)) throw error;
          this.failures.push({ text, error });
          // Calls of a client that was closed fail at once: nothing else would ever get a turn.
          await new Promise(setImmediate);
        });
      }
    });
    onTestFinished(() => this.stop());
  }

  /** Waits until this many more calls have been made. */
  async goOn(calls: number): Promise<void> {
    const enough = this.calls + calls;
    while (this.calls < enough) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#sides);
  }
}

describe("a client whose servers stop", () => {
  test("fails no call when they drain one after the other", async () => {
    const client = fleet.client();
    let server = await fleet.server("echo", {}, { id: "0" });
    const load = new Load(client, echo.once as Method as typeof echo.echo);
    for (let restart = 1; restart <= 4; restart++) {
      const next = await fleet.server("echo", {}, { id: String(restart) });
      await load.goOn(50);
      await server.close(5_000);
      await load.goOn(50);
      server = next;
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  test("reconnects to one that is restarted at the same port", async () => {
    const client = fleet.client();
    const first = await fleet.server("echo", {}, { id: "first" });
    expect(await client.unary(echo.echo, {})).toMatchObject({ server: "first" });
    const address = first.addresses[0]!;
    await first.close();
    const listen = [{ transport: fleet.transport, address }];
    await fleet.server("echo", {}, { id: "second", listen });
    expect(await client.unary(echo.once, {})).toMatchObject({ server: "second" });
  });

  test("repeats only repeatable calls when one is killed", async () => {
    const registry = fleet.registry();
    const processes = await Promise.all([EchoProcess.start(), EchoProcess.start()]);
    try {
      for (const [index, { address }] of processes.entries()) {
        await registry.register({
          id: `p${index}`,
          service: "echo",
          version: "1",
          address,
          metadata: { protocol: "native" },
          endpoints: [],
        });
      }
      const client = fleet.client();
      const repeatable = new Load(client, echo.echo);
      const once = new Load(client, echo.once as Method as typeof echo.echo);
      await Promise.all([repeatable.goOn(200), once.goOn(200)]);
      await processes[0].kill();
      await Promise.all([repeatable.goOn(300), once.goOn(300)]);
      await Promise.all([repeatable.stop(), once.stop()]);
      await processes[1].kill();

      expect(repeatable.failures).toEqual([]);
      expect(once.failures.length).toBeLessThanOrEqual(8);
      for (const { error } of once.failures) {
        expect(error).toMatchObject({ code: "unavailable", outcome: "unknown" });
        expect(error.message).toMatch(/Once on echo at 127.0.0.1:\d+/);
      }
      const executed = processes.flatMap((it) => it.executed);
      expect(executed.length).toBeGreaterThan(400);
      expect(new Set(executed).size).toBe(executed.length);
    } finally {
      for (const it of processes) await it.kill();
    }
  });
});
