import { jetstreamBroker, natsBroker, natsStore } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const logger = silentLogger;
const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

/**
 * What has begun at a server that does not respond ends when its signal fires, long before any
 * timeout.
 */
describe.skipIf(skipWithoutNats)(
  "an abort while NATS does not respond",
  { timeout: 20_000 },
  () => {
    let server: NatsServer;
    beforeEach(async () => {
      server = await startNats();
    });
    afterEach(async () => {
      server?.signal("SIGCONT");
      await server?.close();
    });

    /**
     * Aborts once it has waited for a while, and returns the error and how long that took to
     * arrive, in milliseconds.
     */
    const abort = async (operation: (signal: AbortSignal) => Promise<unknown>) => {
      const controller = new AbortController();
      const running = operation(controller.signal).then(
        () => undefined,
        (error: unknown) => error,
      );
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 100))]);
      controller.abort();
      const began = performance.now();
      const error = await running;
      return { error, tookMs: performance.now() - began };
    };
    const patient = { timeoutMs: 15_000, logger };

    test("cancels a JetStream publication, whose outcome is then unknown", async () => {
      await using broker = jetstreamBroker({ servers: server.url, ...patient });
      await broker.publish("topic", event);
      server.signal("SIGSTOP");
      const { error, tookMs } = await abort((signal) => broker.publish("topic", event, { signal }));
      expect(error).toMatchObject({ name: "MicroError", code: "canceled", outcome: "unknown" });
      expect(tookMs).toBeLessThan(1_000);
      server.signal("SIGCONT");
    });

    test("cancels a publication that waits for its connection, and was not sent", async () => {
      server.signal("SIGSTOP");
      for (const create of [jetstreamBroker, natsBroker]) {
        const broker = create({ servers: server.url, ...patient });
        const { error, tookMs } = await abort((signal) =>
          broker.publish("topic", event, { signal }),
        );
        expect(error).toMatchObject({ code: "canceled", outcome: "not-executed" });
        expect(tookMs).toBeLessThan(1_000);
        server.signal("SIGCONT");
        await broker.close();
        server.signal("SIGSTOP");
      }
    });

    test("cancels operations on dead letters, and the listing of a store", async () => {
      await using broker = jetstreamBroker({ servers: server.url, ...patient });
      await using store = natsStore({ servers: server.url, timeoutMs: 15_000 });
      await broker.publish("topic", event);
      await store.write("key", Buffer.from("v"));
      server.signal("SIGSTOP");
      const { deadLetters } = broker;
      const operations: ((signal: AbortSignal) => Promise<unknown> | undefined)[] = [
        (signal) => deadLetters?.topics({ signal }),
        (signal) => deadLetters?.list("topic.dead", { signal })[Symbol.asyncIterator]().next(),
        (signal) => deadLetters?.replay("topic.dead", "1", { signal }),
        (signal) => store.list({ signal })[Symbol.asyncIterator]().next(),
      ];
      for (const operation of operations) {
        const { error, tookMs } = await abort(async (signal) => operation(signal));
        expect(error).toMatchObject({ code: "canceled", outcome: "not-executed" });
        expect(tookMs).toBeLessThan(1_000);
      }
      server.signal("SIGCONT");
    });
  },
);
