import { Closable } from "../base/closable.ts";
import type { MicroError } from "../base/error.ts";
import { callback, checkOptions, instanceOf } from "../base/option-check.ts";
import type { Topic, TopicPublishOptions } from "../broker/topic.ts";
import type { Awaitable } from "../call/call.ts";
import type { Client } from "../client/client.ts";
import type { Registry } from "../registry/registry.ts";
import type { Server } from "../server/server.ts";
import { createClient } from "../service/create-client.ts";
import { createServer } from "../service/create-server.ts";
import { createService } from "../service/create-service.ts";
import type { Service, ServiceOptions } from "../service/service.ts";
import { serviceKinds } from "../service/service-option-kinds.ts";
import type { ObservedBroker } from "./observed-broker.ts";
import type { FailureOptions, FailurePlan, FailureTarget } from "./planned-failures.ts";
import { type LogLine, RecordedLog } from "./recorded-log.ts";
import { TestNetwork, type WaitOptions } from "./test-network.ts";

/** Options of a test service, in addition to those of a service. */
export interface TestServiceOptions
  extends Omit<
    ServiceOptions,
    | "address"
    | "advertise"
    | "listen"
    | "registry"
    | "transports"
    | "broker"
    | "client"
    | "selector"
  > {
  /** Connects it to other test services. Default: a network of its own. */
  readonly network?: TestNetwork;
  /**
   * Creates the service with the given options, as the program under test does. Default:
   * `createService`, with the name `test`.
   */
  readonly create?: (options: ServiceOptions) => Service;
}

const {
  address: _address,
  advertise: _advertise,
  listen: _listen,
  registry: _registry,
  transports: _transports,
  broker: _broker,
  client: _client,
  selector: _selector,
  ...testKinds
} = serviceKinds;

/** A running service in memory, with a client that calls it. */
export interface TestService extends AsyncDisposable {
  readonly service: Service;
  /** Calls the service, and others on its network, as another program would. */
  readonly client: Client;
  readonly network: TestNetwork;
  /** The service's log, the last 10,000 lines. */
  readonly log: readonly LogLine[];
  /**
   * Publishes an event, and resolves when every subscriber has handled it. Rejects with the error
   * of a subscriber at its last delivery; redeliveries happen at once.
   *
   * @throws MicroError `deadline_exceeded` when a subscriber takes longer than `timeoutMs`,
   * `failed_precondition` when the topic has no subscribers.
   */
  publish<M, I>(
    topic: Topic<M, I>,
    message: I,
    options?: TopicPublishOptions & WaitOptions,
  ): Promise<void>;
  /** The messages published on a topic so far, in order; the last 10,000 of the network. */
  published<M, I>(topic: Topic<M, I>): readonly M[];
  /**
   * The next message on a topic: the first publication at the first call, then the one after it.
   * Waits until there is one.
   * @throws MicroError `deadline_exceeded` after `timeoutMs`.
   */
  nextPublished<M, I>(topic: Topic<M, I>, options?: WaitOptions): Promise<M>;
  /**
   * Resolves when no event of the network is pending or being handled, including those that
   * handlers have published.
   * @throws MicroError `deadline_exceeded` after `timeoutMs`, with the topics that are not done.
   */
  settled(options?: WaitOptions): Promise<void>;
  /**
   * Makes the next calls of an rpc (`"shop.v1.Stock/Reserve"`), or publications on a topic
   * (`ShippedTopic`), fail with an error, whichever program of the network makes them. Each attempt
   * of a retry counts as a call.
   * @throws MicroError `invalid_argument` when `error` is not a MicroError, or `times` is not
   * positive.
   */
  fail(target: FailureTarget, error: MicroError, options?: FailureOptions): FailurePlan;
  /** Starts a server for services that are not under test; it is closed with this service. */
  fake(register: (server: Server) => void): Promise<Server>;
  /** Stops the service, and closes everything opened for it. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a service for a test: the real server, client and broker, over memory. It opens no port,
 * reads no environment variables, sees no other services, and keeps its log instead of writing it.
 *
 * @param setUp registers handlers and hooks before the service starts.
 * @throws MicroError when the service cannot start; everything that was opened is closed then.
 *
 * @example
 * ```ts
 * import { createTestService } from "@micro-es/runtime/testing";
 * import {
 *   createGreeterClient,
 *   type GreeterHandler,
 *   registerGreeterHandler,
 * } from "./gen/greeter/v1/greeter_micro.js";
 *
 * declare const greeterHandler: GreeterHandler;
 * await using test = await createTestService((service) => {
 *   registerGreeterHandler(service.server, greeterHandler);
 * });
 * const greeter = createGreeterClient(test.client);
 * const { message } = await greeter.hello({ name: "Ada" });
 * ```
 */
export async function createTestService(
  setUp: (service: Service) => Awaitable<void>,
  options: TestServiceOptions = {},
): Promise<TestService> {
  checkOptions("createTestService", options, {
    ...testKinds,
    network: instanceOf("a TestNetwork", TestNetwork),
    create: callback,
  });
  const { network = new TestNetwork(), create = createService, ...rest } = options;
  const test = new RunningTestService(network, create, rest);
  try {
    await setUp(test.service);
    await test.service.start();
  } catch (reason) {
    await test.close().catch(() => {});
    throw reason;
  }
  return test;
}

class RunningTestService extends Closable implements TestService {
  readonly service: Service;
  readonly client: Client;
  readonly network: TestNetwork;
  readonly #log: RecordedLog;
  readonly #broker: ObservedBroker;
  readonly #registry: Registry;
  readonly #fakes: Server[] = [];
  /** Closed in this order, after the service. */
  readonly #parts: readonly { close(): Promise<void> }[];

  constructor(
    network: TestNetwork,
    create: (options: ServiceOptions) => Service,
    { logger, ...options }: Omit<TestServiceOptions, "network" | "create">,
  ) {
    super();
    this.network = network;
    this.#log = new RecordedLog(logger);
    const registry = network.registry();
    this.#registry = registry;
    const sync = network.sync();
    const transports = [network.transport()];
    const environment = {};
    this.#broker = network.broker(this.#log);
    this.client = createClient({ registry, transports, environment });
    this.service = create({
      // The program's own function names its service itself.
      ...(create === createService ? { name: "test" } : {}),
      sync,
      drainDelayMs: 0,
      graceMs: 1_000,
      environment,
      ...options,
      registry,
      transports,
      address: "memory:0",
      broker: this.#broker,
      logger: this.#log,
    });
    this.#parts = [this.#broker, registry, sync];
  }

  get log(): readonly LogLine[] {
    return this.#log.lines;
  }

  publish<M, I>(
    topic: Topic<M, I>,
    message: I,
    options?: TopicPublishOptions & WaitOptions,
  ): Promise<void> {
    return this.network.publish(this.#broker, topic, message, options);
  }

  published<M, I>(topic: Topic<M, I>): readonly M[] {
    return this.network.messages(topic);
  }

  nextPublished<M, I>(topic: Topic<M, I>, options?: WaitOptions): Promise<M> {
    return this.network.nextPublished(topic, options);
  }

  settled(options?: WaitOptions): Promise<void> {
    return this.network.settled(options);
  }

  fail(target: FailureTarget, error: MicroError, options?: FailureOptions): FailurePlan {
    return this.network.fail(target, error, options);
  }

  async fake(register: (server: Server) => void): Promise<Server> {
    const server = createServer({
      name: `fake-${this.#fakes.length + 1}`,
      listen: [{ transport: this.network.transport(), address: "memory:0" }],
      registry: this.#registry,
      broker: this.#broker,
      logger: this.#log,
      drainDelayMs: 0,
      // A fake is not under test, whatever its schema requires of callers.
      auth: false,
      environment: {},
    });
    register(server);
    this.#fakes.push(server);
    await server.start();
    return server;
  }

  protected override async closeOnce(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of [this.client, this.service, ...this.#fakes, ...this.#parts]) {
      try {
        await part.close();
      } catch (reason) {
        failures.push(reason);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1)
      throw new AggregateError(failures, "several parts of the test service did not close");
  }
}
