import {
  type AnyMethod,
  createClient,
  createServer,
  createService,
  httpTransport,
  type MicroError,
  memoryBroker,
  memoryRegistry,
  silentLogger,
  tcpTransport,
} from "@micro-es/runtime";
import { type Rule, staticRules } from "@micro-es/runtime/auth";
import { debugService } from "@micro-es/runtime/debug";
import { testAuth } from "@micro-es/runtime/testing";
import { afterEach, describe, expect, test } from "vitest";
import { logsMethod, statsMethod } from "../../runtime/src/debug/debug-methods.ts";
import { type EchoMethod, echo } from "../support/echo.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const methods: Record<"open" | "any" | "granted", EchoMethod> = {
  open: { ...echo.echo, name: "micro.test.v1.Guarded/Open", auth: { public: true } },
  any: { ...echo.echo, name: "micro.test.v1.Guarded/Any", auth: {} },
  granted: { ...echo.echo, name: "micro.test.v1.Guarded/Granted" },
};
const everything: Rule = {
  ...({ id: "all", access: "granted", priority: 1 } as const),
  ...({ resource: { type: "method", name: "*" }, subject: {} } as const),
};

/** A server with auth and a debug service that has a token too. */
async function serve(create: typeof createServer | typeof createService, token?: string) {
  const made = create({
    ...{ name: "docs", address: "0.0.0.0:0", logger: silentLogger },
    ...{ registry: memoryRegistry(), broker: memoryBroker() },
    environment: { MICRO_DEBUG_TOKEN: "debug-secret", MICRO_DRAIN_DELAY: "0ms" },
    auth: testAuth({ accounts: { ada: { scopes: ["micro.debug"] }, eve: {} } }),
    access: { rules: staticRules([everything]) },
    debug: debugService(token === undefined ? {} : { token }),
  });
  open.push(made);
  const server = "server" in made ? made.server : made;
  for (const method of Object.values(methods)) server.unary(method, ({ text }) => ({ text }));
  await made.start();
  return `127.0.0.1:${server.addresses[0]?.split(":").at(-1)}`;
}

describe.each([
  ["natively", tcpTransport, ""],
  ["by gRPC", httpTransport, "http://"],
] as const)("a service with auth and MICRO_DEBUG_TOKEN, called %s,", (_, transport, scheme) => {
  /** The results of calls with a token: `ok`, or a code. */
  function caller(address: string) {
    const client = createClient({ transports: [transport()], logger: silentLogger });
    open.push(client);
    return async (method: AnyMethod, token?: string) => {
      const metadata = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const options = { address: `${scheme}${address}`, metadata, retry: false } as const;
      return client.unary(method as unknown as typeof statsMethod, {}, options).then(
        () => "ok",
        (reason: MicroError) => reason.code,
      );
    };
  }

  test.each([
    ["of the environment", createService, undefined, "debug-secret"],
    ["of the environment of a server", createServer, undefined, "debug-secret"],
    ["of the debug service", createService, "its-own", "its-own"],
  ] as const)(
    "opens the debug service by the token %s and to accounts",
    async (_, create, own, token) => {
      const call = caller(await serve(create, own));
      expect(await call(statsMethod, token)).toBe("ok");
      expect(await call(statsMethod, "ada")).toBe("ok");
      expect(await call(statsMethod, "eve")).toBe("permission_denied");
      for (const wrong of [undefined, "debug-secreT", "debug", own && "debug-secret"]) {
        expect(await call(statsMethod, wrong), wrong).toBe("unauthenticated");
      }
    },
  );

  test("opens nothing else by the token, also where a rule grants it", async () => {
    const call = caller(await serve(createService));
    expect(await call(statsMethod, "debug-secret")).toBe("ok");
    for (const method of Object.values(methods)) {
      expect(await call(method, "eve")).toBe("ok");
      expect(await call(method, "debug-secret"), method.name).toBe("unauthenticated");
    }
  });

  test("does not count the token as an invalid credential", async () => {
    const call = caller(await serve(createService));
    for (let count = 0; count < 300; count++) {
      expect(await call(statsMethod, "debug-secret")).toBe("ok");
    }
    // After a hundred invalid ones, no unknown credential of the connection would be verified.
    expect(await call(methods.any, "eve")).toBe("ok");
  });
});

test("the log is read by the token as well", async () => {
  const address = await serve(createService);
  const client = createClient({ transports: [tcpTransport()], logger: silentLogger });
  open.push(client);
  const metadata = { authorization: "Bearer debug-secret" };
  const lines: string[] = [];
  for await (const line of client.serverStream(logsMethod, {}, { address, metadata })) {
    lines.push(line.message);
  }
  expect(lines).toContain("the server listens");
});
