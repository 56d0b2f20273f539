import { natsParts } from "@micro-es/nats";
import { createService, silentLogger } from "@micro-es/runtime";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { echo } from "@micro-es/test-support/echo";
import { connect } from "nats";
import { describe, expect, test } from "vitest";
import { skipWithoutNats, startNats } from "./server.ts";

const topic = createTopic({ name: "stops", codec: echo.echo.input });

describe.skipIf(skipWithoutNats)(
  "an event whose handler stops its service and waits for it",
  () => {
    test.each([0, 30])("is acknowledged, and not delivered again: after %i ms", async (pauseMs) => {
      await using server = await startNats();
      const parts = () =>
        natsParts({ servers: server.url, ackWaitMs: 1_000, logger: silentLogger });
      const create = () =>
        createService({ name: "stops", environment: {}, logger: silentLogger, ...parts() });
      const service = create();
      let handled = 0;
      service.server.subscribe(
        topic,
        async () => {
          if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
          await service.stop();
          handled++;
        },
        { queue: "q" },
      );
      await service.start();
      await topic.publish(service.broker, { text: "first" });
      await expect.poll(() => service.state).toBe("stopped");
      await expect.poll(() => handled).toBe(1);

      await using plain = Object.assign(await connect({ servers: server.url }), {
        [Symbol.asyncDispose]() {
          return plain.close();
        },
      });
      const manager = await plain.jetstreamManager();
      const pending: number[] = [];
      for await (const { config } of manager.streams.list()) {
        for await (const consumer of manager.consumers.list(config.name)) {
          if (config.name.startsWith("KV_")) continue;
          pending.push(consumer.num_ack_pending);
        }
      }
      expect(pending).toEqual([0]);

      await using next = create();
      const seen: string[] = [];
      next.server.subscribe(topic, ({ text }) => void seen.push(text), { queue: "q" });
      await next.start();
      await topic.publish(next.broker, { text: "second" });
      await expect.poll(() => seen).not.toEqual([]);
      expect(seen).toEqual(["second"]);
    });
  },
);
