import { dns } from "@micro-es/dns";
import { createClient, createService, silentLogger } from "@micro-es/runtime";
import { createEchoServiceClient } from "@micro-es/test-support/echo";
import { recordingLogger, registerEcho } from "@micro-es/test-support/server";
import { expect, test } from "vitest";
import { a, type Query, responseTo, srv, startFakeServer } from "./fake-server.ts";

const options = { drivers: [dns], logger: silentLogger };

test("MICRO_REGISTRY=dns: finds a service that it does not register", async () => {
  const logger = recordingLogger();
  let port = 0;
  await using zone = await startFakeServer((query: Query) => [
    responseTo(query, {
      answers:
        query.type === "SRV"
          ? [srv(query.name, "host.shop.test", port)]
          : [a(query.name, "127.0.0.1")],
    }),
  ]);
  const byService = `dns://${zone.address}/shop.test`;
  await using service = createService({
    ...options,
    logger,
    name: "echo",
    environment: { MICRO_REGISTRY: byService },
  });
  registerEcho(service.server);
  await service.start();
  port = Number(service.server.addresses[0]?.split(":")[1]);
  expect(logger.lines.filter(({ message }) => message.includes("only read"))).toHaveLength(1);
  const urls = [
    byService,
    `dns://${zone.address}/?name=_{service}._tcp.shop.test&tcp=true`,
    `dns://${zone.address}/shop.test?port=${port}&protocol=native`,
    `dns://${zone.address}/shop.test,memory:`,
  ];
  for (const url of urls) {
    await using client = createClient({ ...options, environment: { MICRO_REGISTRY: url } });
    const echo = createEchoServiceClient(client);
    expect(await echo.echo({ text: "hi" }), url).toMatchObject({ text: "hi" });
  }
});

test("the protocol of a URL is that of all nodes", async () => {
  await using zone = await startFakeServer((query: Query) => [
    responseTo(query, { answers: [a(query.name, "10.0.0.1")] }),
  ]);
  const MICRO_REGISTRY = `dns://${zone.address}/shop.test?port=80&protocol=grpc`;
  await using service = createService({
    ...options,
    name: "shop",
    environment: { MICRO_REGISTRY },
  });
  expect((await service.registry.get("echo"))[0]?.metadata).toEqual({ protocol: "grpc" });
});

test.each([
  ["dns:", "needs a domain, for example shop.svc.cluster.local"],
  ["dns:shop.test?port=0", "the parameter port"],
  ["dns:shop.test?prt=80", "dns: has no parameter prt; did you mean port?"],
  ["dns:shop test", "domain must be a domain"],
  ["dns://dns.example/shop.test", '"dns.example" is not a DNS server'],
])("refuses the URL %s", (MICRO_REGISTRY, message) => {
  const make = () => createClient({ ...options, environment: { MICRO_REGISTRY } });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_REGISTRY/);
});
