import { nats } from "@micro-es/nats";
import { createClient, createService, MicroError, type Service } from "@micro-es/runtime";
import { errorOf, recordingLogger } from "@micro-es/test-support/server";
import { describe, expect, test } from "vitest";

/** Nothing listens there. */
const closed = "127.0.0.1:9";

function service(environment: Record<string, string>): Service {
  return createService({
    name: "shop",
    drivers: [nats],
    logger: recordingLogger(),
    environment: { MICRO_START_TIMEOUT: "0s", MICRO_ADDRESS: "127.0.0.1:0", ...environment },
  });
}

describe("the NATS driver", () => {
  test("provides every part, and calls over NATS in addition to TCP", async () => {
    await using it = service({ MICRO_BACKEND: `nats://${closed}` });
    const { registry, broker, store, sync, config, transports } = it;
    expect([registry, broker, store, sync].map(({ name }) => name)).toEqual([
      "nats",
      "jetstream",
      "nats",
      "nats",
    ]);
    expect(broker.guarantees.delivery).toBe("at-least-once");
    expect(config?.guarantees.reach).toBe("backend");
    expect(transports.map(({ name }) => name).slice(0, 2)).toEqual(["tcp", "nats"]);
  });

  test("is configured by the parameters of its URL", async () => {
    await using it = service({ MICRO_BROKER: `nats://${closed}?broker=core` });
    expect(it.broker.guarantees.delivery).toBe("at-most-once");
    await using encrypted = service({
      MICRO_TRANSPORT: `tls://${closed}`,
      MICRO_ADDRESS: "nats:0",
    });
    expect(encrypted.transports[0]?.guarantees.encrypted).toBe(true);
  });

  test.each([
    ["nats://h?flet=x", "has no parameter flet; did you mean fleet? It takes fleet, broker,"],
    ["nats://h?broker=kafka", 'the parameter broker="kafka" is not allowed'],
    ["nats://h?replicas=9", 'the parameter replicas="9" is not allowed'],
    ["nats:settings/shop", "takes no path; name the bucket of a configuration by ?bucket="],
    [
      "nats://ada:secret@h?credentials=x",
      "nats: takes one of user and password, a token, and credentials",
    ],
  ])("refuses %s", (url, message) => {
    const create = () => service({ MICRO_STORE: url });
    expect(create).toThrow(/^MICRO_STORE=nats:\S* cannot be used: /);
    expect(create).toThrow(message);
    expect(create).toThrow(/^(?!.*secret)/s);
  });

  test.each([
    `nats://ada:se%63ret@${closed}`,
    `nats://se%63ret@${closed}`,
    `nats://ada:secret@${closed},ada:secret@127.0.0.1:10?startTimeout=0s`,
  ])("shows no credentials of %s in errors and logs", async (MICRO_BACKEND) => {
    const logger = recordingLogger();
    const it = createService({
      name: "shop",
      drivers: [nats],
      logger,
      environment: { MICRO_BACKEND, MICRO_START_TIMEOUT: "0s", MICRO_ADDRESS: "127.0.0.1:0" },
    });
    const error = await errorOf(it.start());
    expect(error).toBeInstanceOf(MicroError);
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining(closed) });
    const log = JSON.stringify([...logger.lines, error, String(error)]);
    expect(log).toContain(closed);
    expect(log).not.toMatch(/secret|se%63ret/);
  });

  test("serves a standalone client", async () => {
    const environment = { MICRO_REGISTRY: `nats://${closed}`, MICRO_START_TIMEOUT: "0s" };
    const client = createClient({ drivers: [nats], environment, logger: recordingLogger() });
    await client.close();
  });
});
