import { setTimeout as sleep } from "node:timers/promises";
import {
  type Broker,
  type CallContext,
  createLogger,
  createService,
  EventRejected,
  MicroError,
  type Service,
  silentLogger,
} from "@micro-es/runtime";
import {
  createTestService,
  fakeHandler,
  TestNetwork,
  type TestServiceOptions,
} from "@micro-es/runtime/testing";
import { describe, expect, test, vi } from "vitest";
import {
  createGreeterClient,
  GreetedTopic,
  type GreeterClient,
  type GreeterHandler,
  registerGreeterHandler,
} from "../../../examples/greeter/src/gen/greeter/v1/greeter_micro.ts";
import { Greeter } from "../../../examples/greeter/src/greeter.ts";
import {
  createOrdersClient,
  createStockClient,
  type OrderInit,
  type OrdersHandler,
  registerOrdersHandler,
  registerStockHandler,
  ShippedTopic,
  type StockHandler,
} from "../../../examples/shop/src/gen/shop/v1/shop_micro.ts";
import { brokerContract } from "../../../test/contract/broker.ts";
import { transportContract } from "../../../test/contract/transport.ts";
import { errorOf } from "../../../test/support/server.ts";

function registerGreeter(service: Service, methods: Partial<GreeterHandler> = {}): void {
  const greeter = new Greeter("test", service.broker);
  registerGreeterHandler(service.server, Object.assign(greeter, methods));
}

function greeterOf(methods: Partial<GreeterHandler> = {}, options: TestServiceOptions = {}) {
  return createTestService((service) => registerGreeter(service, methods), options);
}

/** Places orders whose goods are reserved in the stock service. */
class Orders implements Pick<OrdersHandler, "place"> {
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  async place(
    { lines }: { readonly lines: readonly object[] },
    context: CallContext,
  ): Promise<OrderInit> {
    const stock = createStockClient(this.#service.client);
    const { orderId } = await stock.reserve({ orderId: "1", lines: [...lines] }, context);
    return { id: orderId };
  }
}

const ordersOf = (options: TestServiceOptions = {}) =>
  createTestService(
    (service) =>
      registerOrdersHandler(service.server, fakeHandler<OrdersHandler>(new Orders(service))),
    // Access has tests of its own.
    { auth: false, ...options },
  );

const reserve = "shop.v1.Stock/Reserve";

describe("a test service", () => {
  test("serves every kind of rpc to a typed client, and opens no port", async () => {
    await using it = await greeterOf();
    const greeter: GreeterClient = createGreeterClient(it.client);
    expect((await greeter.hello({ name: "Ada" })).message).toBe("Hello Ada");
    const ticks: number[] = [];
    for await (const { number } of greeter.watch({ count: 2 })) ticks.push(number);
    expect(ticks).toEqual([1, 2]);
    expect((await greeter.upload([{ name: "Ada" }, { name: "Grace" }])).message).toContain("Grace");
    const lines: string[] = [];
    for await (const { text } of greeter.chat([{ text: "one" }])) lines.push(text);
    expect(lines).toEqual(["ONE!"]);
    expect(it.service.server.addresses).toEqual(["memory:1"]);
    const handles = process.getActiveResourcesInfo();
    expect(handles.filter((name) => /TCPServer|UDP/.test(name))).toEqual([]);
  });

  test("is isolated from other test services, reads no variables, and writes no log", async () => {
    vi.stubEnv("MICRO_TIMEOUT", "nonsense");
    const written = vi.spyOn(process.stderr, "write");
    try {
      await using one = await greeterOf({ hello: () => ({ message: "one" }) });
      await using other = await greeterOf({ hello: () => ({ message: "other" }) });
      expect((await createGreeterClient(one.client).hello({})).message).toBe("one");
      expect((await createGreeterClient(other.client).hello({})).message).toBe("other");
      const lock = await one.service.sync.lock("a");
      expect(await other.service.sync.locks()).toEqual([]);
      await lock.unlock();
      expect(written).not.toHaveBeenCalled();
      expect(one.log.map(({ message }) => message)).toContain("the server listens");
    } finally {
      vi.unstubAllEnvs();
      written.mockRestore();
    }
  });

  test("passes its log on to a logger that it is given", async () => {
    const lines: string[] = [];
    const logger = createLogger({ format: "json", write: (line) => lines.push(line) });
    await using _ = await greeterOf({}, { logger });
    expect(lines.join()).toContain("the server listens");
  });

  test("is created by the program's own function, hooks and interceptors included", async () => {
    const seen: string[] = [];
    const create: TestServiceOptions["create"] = (options) => {
      const service = createService({ name: "own", ...options });
      service.onReady(() => void seen.push("ready"));
      service.onStop(() => void seen.push("stop"));
      return service;
    };
    {
      await using it = await greeterOf({}, { create });
      expect(it.service.name).toBe("own");
      expect(seen).toEqual(["ready"]);
    }
    expect(seen).toEqual(["ready", "stop"]);
  });

  test("closes everything when it cannot start", async () => {
    let opened: Service | undefined;
    const failing = createTestService((service) => {
      opened = service;
      service.onStart(() => {
        throw new Error("no database");
      });
    });
    await expect(failing).rejects.toThrow(/no database/);
    expect(opened?.state).toBe("stopped");
    await expect(opened?.broker.publish("a", {} as never)).rejects.toThrow(/closed/);
  });

  test("refuses calls and events once it is closed, and closes once", async () => {
    const it = await greeterOf();
    const { broker, registry } = it.service;
    await Promise.all([it.close(), it.close()]);
    expect(it.service.state).toBe("stopped");
    expect((await errorOf(createGreeterClient(it.client).hello({}))).outcome).toBe("not-executed");
    await expect(GreetedTopic.publish(broker, {})).rejects.toThrow(/closed/);
    await expect(registry.get("test")).rejects.toThrow(/closed/);
  });

  test("shares a network with others, and leaves it as it was", async () => {
    const network = new TestNetwork();
    await using greeter = await greeterOf({}, { network });
    {
      await using caller = await createTestService(() => {}, { network, name: "caller" });
      const { message } = await createGreeterClient(caller.service.client).hello({ name: "Ada" });
      expect(message).toBe("Hello Ada");
    }
    expect((await createGreeterClient(greeter.client).hello({ name: "Eve" })).message).toBe(
      "Hello Eve",
    );
  });
});

describe("events of a test service", () => {
  test("that are published are handled when the promise resolves", async () => {
    const handled: string[] = [];
    await using it = await greeterOf({
      async onGreeted({ name }) {
        await sleep(20);
        handled.push(name);
      },
    });
    await it.publish(GreetedTopic, { name: "Ada" });
    expect(handled).toEqual(["Ada"]);
  });

  test("reject with the error of their subscriber, after every delivery", async () => {
    const attempts: number[] = [];
    await using it = await greeterOf({
      onGreeted(_greeted, { attempt }) {
        attempts.push(attempt);
        throw new Error("no room");
      },
    });
    await expect(it.publish(GreetedTopic, { name: "Ada" })).rejects.toThrow("no room");
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
  });

  test("resolve when a redelivery succeeds, and reject at once when they are rejected for good", async () => {
    let attempts = 0;
    await using it = await greeterOf({
      onGreeted({ name }) {
        attempts++;
        if (name === "never") throw new EventRejected("not a name");
        if (attempts === 1) throw undefined;
      },
    });
    await it.publish(GreetedTopic, { name: "later" });
    expect(attempts).toBe(2);
    await expect(it.publish(GreetedTopic, { name: "never" })).rejects.toThrow("not a name");
    expect(attempts).toBe(3);
  });

  test("that hang fail the wait with the topic, its queue and the event being handled", async () => {
    await using it = await greeterOf({
      onGreeted: (_, { signal }) => sleep(60_000, undefined, { signal }),
    });
    const error = await errorOf(it.publish(GreetedTopic, {}, { timeoutMs: 20 }));
    expect(error.code).toBe("deadline_exceeded");
    expect(error.message).toMatch(/greeter\.greeted \(queue stats\): 0 waiting, 1 being handled/);
  });

  test("that nothing subscribes to are refused, with the topics that have subscribers", async () => {
    await using it = await greeterOf();
    const error = await errorOf(it.publish(ShippedTopic, {}));
    expect(error.code).toBe("failed_precondition");
    expect(error.message).toMatch(/shop\.shipped.*subscribers: greeter\.greeted/);
  });

  test("do not keep a wait from ending once their subscription is closed", async () => {
    await using it = await greeterOf();
    const subscription = await ShippedTopic.subscribe(
      it.service.broker,
      (_, { signal }) => sleep(60_000, undefined, { signal }),
      { maxInFlight: 1 },
    );
    await ShippedTopic.publish(it.service.broker, { orderId: "1" });
    await ShippedTopic.publish(it.service.broker, { orderId: "2" });
    await errorOf(it.settled({ timeoutMs: 10 }));
    await subscription.close();
    await it.settled();
    expect((await errorOf(it.publish(ShippedTopic, {}))).code).toBe("failed_precondition");
  });

  test("that the service publishes are returned in order, decoded, as often as requested", async () => {
    await using it = await greeterOf();
    const greeter = createGreeterClient(it.client);
    const first = it.nextPublished(GreetedTopic);
    await greeter.hello({ name: "Ada" });
    await greeter.hello({ name: "Grace" });
    expect((await first).name).toBe("Ada");
    expect((await it.nextPublished(GreetedTopic)).name).toBe("Grace");
    expect(it.published(GreetedTopic).map(({ name }) => name)).toEqual(["Ada", "Grace"]);
    const error = await errorOf(it.nextPublished(GreetedTopic, { timeoutMs: 10 }));
    expect(error.message).toMatch(/greeter\.greeted/);
    const aborted = await errorOf(it.nextPublished(GreetedTopic, { signal: AbortSignal.abort() }));
    expect(aborted.code).toBe("canceled");
  });

  test("settle once events published by handlers are handled too", async () => {
    let counted = 0;
    await using it = await createTestService((service) => {
      service.server.subscribe(ShippedTopic, async ({ customer }) => {
        await sleep(5);
        await GreetedTopic.publish(service.broker, { name: customer });
      });
      registerGreeter(service, {
        async onGreeted() {
          await sleep(5);
          counted++;
        },
      });
    });
    await ShippedTopic.publish(it.service.broker, { orderId: "1", customer: "Ada" });
    await it.settled();
    expect(counted).toBe(1);
  });
});

describe("failures of a test service", () => {
  const lost = new MicroError("unavailable", "connection lost", { outcome: "unknown" });

  test("reach the client beneath its retries", async () => {
    let reserved = 0;
    await using it = await ordersOf();
    await it.fake((server) =>
      registerStockHandler(
        server,
        fakeHandler<StockHandler>({
          reserve: ({ orderId }) => {
            reserved++;
            return { orderId };
          },
        }),
      ),
    );
    const orders = createOrdersClient(it.client);
    const plan = it.fail(reserve, lost, { times: 2 });
    expect((await orders.place({ lines: [{ article: "pears" }] })).id).toBe("1");
    expect(plan.remaining).toBe(0);
    expect(reserved).toBe(1);

    it.fail(reserve, lost, { when: "after" });
    await orders.place({ lines: [{ article: "pears" }] });
    expect(reserved).toBe(3);

    const forever = it.fail(reserve, lost, { times: Number.POSITIVE_INFINITY });
    const error = await errorOf(orders.place({}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "executed" });
    expect(error.message).toContain("connection lost");
    forever.cancel();
    expect((await orders.place({})).id).toBe("1");
  });

  test("end streams, before or after their messages", async () => {
    await using it = await greeterOf();
    const greeter = createGreeterClient(it.client);
    const numbers: number[] = [];
    const watch = async () => {
      for await (const { number } of greeter.watch({ count: 2 }, { retry: false }))
        numbers.push(number);
    };
    it.fail("greeter.v1.Greeter/Watch", lost);
    expect((await errorOf(watch())).code).toBe("unavailable");
    expect(numbers).toEqual([]);
    it.fail("greeter.v1.Greeter/Watch", lost, { when: "after" });
    expect((await errorOf(watch())).code).toBe("unavailable");
    expect(numbers).toEqual([1, 2]);
  });

  test("fail publications, before or after their delivery", async () => {
    let counted = 0;
    await using it = await greeterOf({ onGreeted: () => void counted++ });
    const greeter = createGreeterClient(it.client);
    it.fail(GreetedTopic, lost);
    expect((await errorOf(greeter.hello({ name: "Ada" }, { retry: false }))).code).toBe(
      "unavailable",
    );
    await it.settled();
    expect(counted).toBe(0);
    it.fail(GreetedTopic, lost, { when: "after" });
    await errorOf(greeter.hello({ name: "Ada" }, { retry: false }));
    await it.settled();
    expect(counted).toBe(1);
  });

  test("must be MicroErrors that happen at least once", async () => {
    await using it = await greeterOf();
    expect(() => it.fail(reserve, new Error("x") as never)).toThrow(/Stock\/Reserve.*MicroError/);
    expect(() => it.fail(reserve, lost, { times: 0 })).toThrow(
      /times must be a number over 0.*got 0/,
    );
    expect(() => it.fail(reserve, lost, { times: "2x" as never })).toThrow(/got "2x"/);
  });
});

test("a fake handler fails for missing methods, and ignores events without a subscriber", async () => {
  await using it = await ordersOf();
  await it.fake((server) => registerStockHandler(server, fakeHandler<StockHandler>({})));
  const error = await errorOf(createOrdersClient(it.client).place({}));
  expect(error).toMatchObject({ code: "unimplemented" });
  expect(error.message).toMatch(/fake handler.*reserve/);
  await it.publish(ShippedTopic, { orderId: "1" });
});

describe("the broker of a test network", () => {
  const create = async (count: number) => {
    const network = new TestNetwork();
    const join = (): Broker => network.broker(silentLogger, {});
    return { brokers: Array.from({ length: count }, join), join };
  };
  for (const { name, run } of brokerContract(create)) test(name, run);
});

describe("the transport of a test network", () => {
  const network = new TestNetwork();
  const under = {
    create: (limits = {}) => network.transport(limits),
    freeAddress: () => "memory:0",
    nowhere: "memory:nowhere",
  };
  for (const { name, run } of transportContract(under)) test(name, run);
});
