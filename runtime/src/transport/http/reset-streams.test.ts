import { httpTransport, type MicroError, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, describe, expect, test } from "vitest";
import { answering, gate, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import type { Channel } from "../transport.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

/**
 * Starts a server whose streams run until they are cancelled, and whose unary calls wait for
 * `release`.
 */
async function serve(onConnectionError: (error: MicroError) => void) {
  const release = gate();
  const listener: Listener = await tcpTransport().listen(
    "127.0.0.1:0",
    answering({
      unary: async ({ text }) => {
        await release.promise;
        return { text };
      },
      async *stream(_, call) {
        yield { text: "first" };
        await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      },
    }),
    { onConnectionError },
  );
  open.push(listener);
  const channel = await httpTransport().dial(listener.address);
  open.push(channel);
  return { listener, channel, release };
}

/**
 * Opens streams, and cancels them through their signals after each has had its first response, with
 * no further reads.
 */
async function resetStreams(channel: Channel, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      const controller = new AbortController();
      const call = outgoing({ signal: controller.signal });
      const responses = channel.stream(echo.repeat, [{}], call)[Symbol.asyncIterator]();
      await responses.next();
      controller.abort();
    }),
  );
}

describe("streams that are reset", () => {
  test.each([false, true])(
    "retire their connection, which closes with its last call (one is open: %s)",
    async (withOpenCall) => {
      const errors: MicroError[] = [];
      const { listener, channel, release } = await serve((error) => errors.push(error));
      const call = withOpenCall && channel.unary(echo.echo, { text: "held" }, outgoing());
      for (let batch = 0; batch < 40 && channel.state === "open"; batch++) {
        await resetStreams(channel, 50);
      }
      expect(channel.state).not.toBe("open");
      expect(channel.openCalls).toBe(withOpenCall ? 1 : 0);
      release.open();
      if (call !== false) expect(await call).toMatchObject({ text: "held" });
      expect((await channel.closed)?.message).toContain("was closed after");
      await expect.poll(() => listener.connections).toBe(0);
      expect(errors).toEqual([]);
    },
    60_000,
  );

  test("by the thousand at once take no other call of their connection along", async () => {
    const errors: string[] = [];
    const { listener, channel, release } = await serve(({ message }) => errors.push(message));
    const call = channel.unary(echo.once, { text: "held" }, outgoing());
    call.catch(() => undefined);
    // No more than the server allows at once: from version 22 on, Node refuses a stream that
    // replaces one that was reset in the same packet.
    await resetStreams(channel, 999);
    expect(channel.state).toBe("draining");
    expect(channel.openCalls).toBe(1);
    const next = await httpTransport().dial(listener.address);
    open.push(next);
    await resetStreams(next, 1);
    release.open();
    expect(await call).toMatchObject({ text: "held" });
    await expect.poll(() => listener.connections, { timeout: 20_000 }).toBe(1);
    expect(errors).toEqual([]);
  }, 60_000);
});
