import { inspect } from "node:util";
import {
  createClient,
  createService,
  EventRejected,
  goMicroTransport,
  httpTransport,
  type Logger,
  MemoryBrokerNetwork,
  MemoryRegistryNetwork,
  memoryBroker,
  memoryRegistry,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { staticToken } from "@micro-es/runtime/auth";
import { debugService } from "@micro-es/runtime/debug";
import { afterEach, expect, test } from "vitest";
import { logsMethod, statsMethod } from "../../runtime/src/debug/debug-methods.ts";
import { EchoedTopic } from "../gen/micro/test/v1/echo_micro.ts";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf } from "../support/server.ts";
import { TokenAuth } from "./token-auth.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

/** Everything that a log, a trace or a page could show of a value. */
function shown(value: unknown): string {
  let json = "";
  try {
    json = JSON.stringify(value, (_key, it) => (typeof it === "bigint" ? String(it) : it));
  } catch {
    // Circular values are shown by inspect.
  }
  return `${inspect(value, { depth: 5 })} ${json} ${value}`;
}

const asked: EchoMethod = { ...echo.echo, auth: { scopes: ["echo"] } };
const streamed: EchoMethod = { ...echo.repeat, auth: {} };

test("a token shows nowhere: not in logs, errors, contexts, statistics or dead letters", async () => {
  const seen: string[] = [];
  const write = (fields: object, message: string) => void seen.push(message, shown(fields));
  const logger: Logger = { debug: write, info: write, warn: write, error: write };
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const broker = memoryBroker({ network: new MemoryBrokerNetwork() });
  const auth = new TokenAuth();
  const canary = auth.issue("echo", "micro.debug");
  const service = createService({
    ...{ name: "echo", registry, broker, auth, logger, debug: debugService() },
    environment: { MICRO_LOG_LEVEL: "debug", MICRO_DRAIN_DELAY: "0ms" },
    serverInterceptors: [
      async (incoming, next) => {
        seen.push(shown(incoming));
        await next();
      },
    ],
  });
  open.push(registry, broker, service);
  service.server.unary(asked, async ({ text }, context) => {
    seen.push(shown(context), shown(context.requestMetadata), shown(context.propagatedMetadata));
    seen.push(shown(context.peer), shown(context.account));
    await EchoedTopic.publish(service.broker, { text }, { context });
    if (text === "fails") throw new TypeError("the handler failed");
    return { text };
  });
  service.server.serverStream(streamed, async function* (_request, context) {
    seen.push(shown(context));
    yield { text: "one" };
  });
  service.server.subscribe(EchoedTopic, (_message, context) => {
    seen.push(shown(context), shown(context.metadata));
    throw new EventRejected("never good");
  });
  await service.start();
  const [listening = ""] = service.server.addresses;

  const ways: readonly (readonly [transport: Transport, scheme: string])[] = [
    [tcpTransport(), ""],
    [goMicroTransport(), ""],
    [httpTransport(), "http://"],
    [httpTransport({ protocol: "connect", httpVersion: "1.1" }), "http://"],
  ];
  for (const [transport, scheme] of ways) {
    const address = `${scheme}${listening}`;
    for (const token of [canary, "token-of-user-none"]) {
      const credentials = staticToken(token);
      const client = createClient({
        ...{ transports: [transport], logger, credentials, registry },
        interceptors: [
          async (call, next) => {
            await next().finally(() => seen.push(shown(call)));
          },
        ],
      });
      open.push(client);
      for (const text of ["works", "fails"]) {
        const call = client.unary(asked, { text }, { address, retry: false });
        seen.push(shown(await call.catch((error: unknown) => error)));
      }
      const far = { address: `${scheme}192.0.2.1:1`, timeoutMs: 500, retry: false } as const;
      seen.push(shown(await errorOf(client.unary(asked, {}, far))));
      seen.push(shown(client), shown(credentials));
      if (transport.protocol !== "native" || token !== canary) continue;
      for await (const each of client.serverStream(streamed, {}, { address }))
        seen.push(shown(each));
      seen.push(shown(await client.unary(statsMethod, {}, { address })));
      for await (const each of client.serverStream(logsMethod, {}, { address })) {
        seen.push(shown(each));
      }
    }
  }
  const letters = broker.deadLetters?.list(`${EchoedTopic.name}.dead`);
  let dead = 0;
  for await (const each of letters ?? []) {
    dead++;
    seen.push(shown(each), shown(each.metadata));
  }
  seen.push(shown(service), shown(service.server));
  expect(dead).toBeGreaterThan(0);
  expect(seen.length).toBeGreaterThan(50);
  expect(seen.filter((text) => text.includes("token-of-user"))).toEqual([]);
});

test("this test would find a token", () => {
  const canary = "token-of-user-1";
  expect(shown({ a: [{ token: canary }] })).toContain(canary);
  expect(shown(new Map([["token", canary]]))).toContain(canary);
});
