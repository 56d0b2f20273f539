import {
  createClient,
  createService,
  MicroError,
  type Registry,
  type StaticRegistryOptions,
  silentLogger,
  staticRegistry,
} from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { createEchoServiceClient } from "../../../../test/support/echo.ts";
import { errorOf, recordingLogger, registerEcho } from "../../../../test/support/server.ts";

const node = (address: string) => ({
  id: `echo-${address}`,
  service: "echo",
  version: "",
  address,
  metadata: {},
  endpoints: [],
});

describe("a static registry", () => {
  const open = () =>
    staticRegistry({
      services: {
        echo: ["10.0.0.5:80", { address: "unix:/run/echo", version: "2", metadata: { zone: "a" } }],
        empty: [],
        shop: ["[::1]:80"],
      },
    });

  test("has the nodes of its list, in order", async () => {
    await using registry = open();
    expect(await registry.get("echo")).toEqual([
      node("10.0.0.5:80"),
      { ...node("unix:/run/echo"), version: "2", metadata: { zone: "a" } },
    ]);
    expect(await registry.get("unknown")).toEqual([]);
    expect(await registry.list()).toEqual(["echo", "shop"]);
    expect(registry.state).toBe("healthy");
  });

  test("watches with one snapshot, until the signal or its close", async () => {
    const registry = open();
    const controller = new AbortController();
    const [ended, closed] = [controller, {}].map((options) =>
      registry.watch("shop", options as { signal?: AbortSignal })[Symbol.asyncIterator](),
    );
    for (const watch of [ended, closed]) {
      expect((await watch?.next())?.value).toEqual({
        type: "snapshot",
        nodes: [expect.objectContaining({ address: "[::1]:80" })],
      });
    }
    controller.abort();
    expect((await ended?.next())?.done).toBe(true);
    const next = closed?.next();
    await registry.close();
    expect((await next)?.done).toBe(true);
    expect((await registry.watch("shop")[Symbol.asyncIterator]().next()).done).toBe(true);
    expect(await errorOf(registry.get("shop"))).toMatchObject({ code: "unavailable" });
  });

  test("registers nothing, and says so", async () => {
    await using registry = open();
    const error = await errorOf(registry.register(node("10.0.0.7:80")));
    expect(error).toMatchObject({ code: "unimplemented", outcome: "not-executed" });
    expect(error.message).toBe(
      "cannot register echo-10.0.0.7:80: the static registry is only read, because its nodes are a fixed list",
    );
    expect(await errorOf(registry.register(node("")))).toMatchObject({ code: "invalid_argument" });
  });

  test.each<[unknown, string]>([
    [{}, "services must be an object of lists of addresses"],
    [{ services: { echo: "10.0.0.5:80" } }, "services must be an object of lists of addresses"],
    [{ services: { echo: ["10.0.0.5"] } }, '"10.0.0.5" is not a valid address'],
    [{ services: { echo: ["0.0.0.0:80"] } }, "must be one that others can dial"],
    [{ services: { echo: [null] } }, "address must be text"],
    [{ services: { "a/b": ["10.0.0.5:80"] } }, "service must be"],
  ])("refuses %j", (options, message) => {
    expect(() => staticRegistry(options as StaticRegistryOptions)).toThrow(MicroError);
    expect(() => staticRegistry(options as StaticRegistryOptions)).toThrow(message);
  });
});

describe("a server with a registry that is only read", () => {
  test("starts, logs once that it is not registered, and is called by its address", async () => {
    const logger = recordingLogger();
    await using server = createService({
      name: "echo",
      logger,
      environment: { MICRO_REGISTRY: "static:shop=10.0.0.7:8080" },
    });
    registerEcho(server.server);
    await server.start();
    const notRegistered = logger.lines.filter(({ message }) => message.includes("only read"));
    expect(notRegistered).toEqual([
      {
        level: "info",
        fields: { service: "echo", registry: "static" },
        message:
          "the registry is only read: the service is not registered, and is found if its source has it",
      },
    ]);
    const [address = ""] = server.server.addresses;
    await using client = createClient({
      logger: silentLogger,
      environment: { MICRO_REGISTRY: `static:echo=${address}` },
    });
    expect(await createEchoServiceClient(client).echo({ text: "hi" })).toMatchObject({
      text: "hi",
    });
  });

  test("does not start where registering is required", async () => {
    const service = createService({
      name: "echo",
      logger: silentLogger,
      environment: { MICRO_REGISTRY: "static:shop=10.0.0.7:8080" },
      require: { registry: { registers: true } },
    });
    expect(await errorOf(service.start())).toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("registry.registers: wanted true, and the static registry"),
    });
  });
});

describe("MICRO_REGISTRY=static:", () => {
  const registryOf = (MICRO_REGISTRY: string): Registry =>
    createService({ name: "shop", logger: silentLogger, environment: { MICRO_REGISTRY } }).registry;

  test("has the addresses of each service", async () => {
    const url = "static:echo=host-a:8080,host-b:8080;shop=unix:/run/shop, [::1]:90";
    await using registry = registryOf(url);
    const addresses = async (name: string) =>
      (await registry.get(name)).map(({ address }) => address);
    expect(await addresses("echo")).toEqual(["host-a:8080", "host-b:8080"]);
    expect(await addresses("shop")).toEqual(["unix:/run/shop", "[::1]:90"]);
  });

  test("is merged with others", async () => {
    await using registry = registryOf("static:echo=host-a:8080,host-b:8080,memory:");
    expect(registry.name).toBe("merged(static, memory)");
    expect(registry.guarantees.registers).toBe(true);
    const registration = await registry.register(node("10.0.0.9:80"));
    expect((await registry.get("echo")).map(({ address }) => address)).toEqual([
      "host-a:8080",
      "host-b:8080",
      "10.0.0.9:80",
    ]);
    await registration.close();
  });

  test.each([
    ["static:", 'static: cannot read ""; it takes each service once, with its addresses'],
    ["static://10.0.0.5:80", "static: names no service"],
    ["static:echo=a:80;echo=b:80", 'static: cannot read "echo=b:80"'],
    ["static:?echo=10.0.0.5", "static: has no parameter echo"],
    ["static:echo=10.0.0.5", '"10.0.0.5" is not a valid address'],
  ])("refuses %s", (url, message) => {
    expect(() => registryOf(url)).toThrow(message);
  });
});
