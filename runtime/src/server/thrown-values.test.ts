import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { echo, echoHandler } from "../../../test/support/echo.ts";
import { errorOf, outgoing, recordingLogger, registerEcho } from "../../../test/support/server.ts";
import { isCode, MicroError } from "../base/error.ts";
import { memoryBroker } from "../broker/memory/broker.ts";
import { buildClient } from "../client/rpc-client.ts";
import { goMicroTransport } from "../go-micro/transport.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
import { httpTransport } from "../transport/http/transport.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import { buildServer } from "./rpc-server.ts";
import type { Server, ServerInterceptor } from "./server.ts";

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const throwing = (): never => {
  throw new Error("a getter threw");
};

/** A MicroError with fields as untyped code may have set them. */
function malformed(fields: PropertyDescriptorMap): MicroError {
  return Object.defineProperties(new MicroError("not_found", "no such user"), fields);
}

/** As untyped code creates it. */
const made = (details: unknown) =>
  new MicroError("not_found", "no such user", { details: details as [] });

const detail = (value: unknown) => malformed({ details: { value: [value] } });

/** Values that a handler may throw, with the code that its caller receives. */
const thrown: readonly (readonly [what: string, make: () => unknown, code: string])[] = [
  ["a detail without a typeName", () => detail({ value: new Uint8Array(1) }), "not_found"],
  ["a detail made without a typeName", () => made([{ value: new Uint8Array(1) }]), "not_found"],
  ["details made of a text", () => made("details"), "not_found"],
  ["a detail without bytes", () => detail({ typeName: "a.B", value: "text" }), "not_found"],
  [
    "a detail whose name has a line break",
    () => detail({ typeName: "a\r\nb: c", value: new Uint8Array(1) }),
    "not_found",
  ],
  ["a detail that is null", () => detail(null), "not_found"],
  ["a detail that is a revoked proxy", () => detail(revoked()), "not_found"],
  ["details that are not an array", () => malformed({ details: { value: 7 } }), "not_found"],
  ["details that throw", () => malformed({ details: { get: throwing } }), "not_found"],
  ["an unknown code", () => malformed({ code: { value: "nope" } }), "internal"],
  ["a code that throws", () => malformed({ code: { get: throwing } }), "internal"],
  [
    "a message that is not a string",
    () => malformed({ message: { value: { a: 1 } } }),
    "not_found",
  ],
  ["a message that throws", () => malformed({ message: { get: throwing } }), "not_found"],
  ["an unknown outcome", () => malformed({ outcome: { value: "maybe" } }), "not_found"],
  [
    "a push-back that is not a number",
    () => malformed({ retryAfterMs: { value: "1" } }),
    "not_found",
  ],
  [
    "a detail that is null, and a negative push-back",
    () => malformed({ details: { value: [null] }, retryAfterMs: { value: -1 } }),
    "not_found",
  ],
  ["a frozen MicroError", () => Object.freeze(new MicroError("not_found", "frozen")), "not_found"],
  ["an object with MicroError's prototype", () => Object.create(MicroError.prototype), "internal"],
  ["a revoked proxy", revoked, "internal"],
  ["an object without a prototype", () => Object.create(null), "internal"],
  ["a symbol", () => Symbol("oops"), "internal"],
  ["undefined", () => undefined, "internal"],
  ["null", () => null, "internal"],
  ["an Error whose message throws", () => brokenError("message"), "internal"],
  ["an Error whose stack throws", () => brokenError("stack"), "internal"],
  ["a code that MicroError refuses", () => refused("not-found"), "internal"],
];

function brokenError(property: string): Error {
  return Object.defineProperty(new Error("x"), property, { get: throwing });
}

function refused(code: string): unknown {
  try {
    return new MicroError(code as never, "no such user");
  } catch (reason) {
    return reason;
  }
}

let thrownNow: () => unknown = () => undefined;
const raise = (): never => {
  throw thrownNow();
};

function register(server: Server): void {
  registerEcho(server, {
    ...echoHandler(),
    echo: raise,
    once: async () => raise(),
    // biome-ignore lint/correctness/useYield: it fails before its first response
    async *repeat() {
      raise();
    },
    collect: async () => raise(),
    async *chat() {
      yield {};
      raise();
    },
  });
}

const protocols = {
  native: () => tcpTransport(),
  grpc: () => httpTransport({ protocol: "grpc" }),
  "grpc-web": () => httpTransport({ protocol: "grpc-web" }),
  connect: () => httpTransport({ protocol: "connect" }),
  "go-micro": () => goMicroTransport(),
  memory: () => memoryTransport(),
} as const;

describe.each(["handlers", "interceptors"] as const)("whatever %s throw", (thrower) => {
  const log = recordingLogger();
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const selector = createSelector({ registry });
  const passOn: ServerInterceptor = {
    unary: (_context, request, next) => next(request),
    stream: (_context, requests, next) => next(requests),
    event: (_context, message, next) => next(message),
  };
  const raising = { unary: raise, stream: raise, event: raise };
  const server = buildServer({
    name: "echo",
    logger: log,
    interceptors: thrower === "interceptors" ? [passOn, raising] : [],
    listen: [
      { transport: tcpTransport(), address: "127.0.0.1:0" },
      { transport: memoryTransport(), address: "memory:0" },
    ],
  });
  register(server);
  beforeAll(() => server.start());
  afterAll(async () => {
    await server.close();
    await selector.close();
    await registry.close();
  });

  test.each(Object.keys(protocols) as (keyof typeof protocols)[])(
    "its caller gets a well-formed error, and the server keeps running: %s",
    { timeout: 30_000 },
    async (protocol) => {
      const client = buildClient({ selector, transports: [protocols[protocol]()], retry: false });
      const address = server.addresses[protocol === "memory" ? 1 : 0] ?? "";
      for (const [what, make, code] of thrown) {
        thrownNow = make;
        const options = { address, timeoutMs: 10_000 };
        const errors = await Promise.all([
          errorOf(client.unary(echo.echo, {}, options)),
          errorOf(client.unary(echo.once, {}, options)),
          errorOf(client.serverStream(echo.repeat, {}, options)),
          errorOf(client.clientStream(echo.collect, [{}], options)),
          errorOf(client.bidi(echo.chat, [{}], options)),
        ]);
        expect(
          errors.map((error) => error.code),
          what,
        ).toEqual(Array(5).fill(code));
        for (const error of errors) {
          expect(isCode(error.code) && typeof error.message === "string").toBe(true);
        }
      }
      await client.close();
    },
  );
});

describe("errors of other gRPC libraries that a handler throws", () => {
  const log = recordingLogger();
  const memory = memoryTransport();
  const server = buildServer({
    name: "echo",
    logger: log,
    listen: [{ transport: memory, address: "memory:0" }],
  });
  register(server);
  beforeAll(() => server.start());
  afterAll(() => server.close());

  async function call(reason: unknown): Promise<MicroError> {
    thrownNow = () => reason;
    const channel = await memory.dial(server.addresses[0] ?? "");
    return errorOf(channel.unary(echo.echo, {}, outgoing()));
  }

  test("keep their code, message and received details", async () => {
    const received = new ConnectError("no such user", ConnectCode.NotFound);
    received.details.push({ type: "a.B", value: new Uint8Array([1]) });
    expect(await call(received)).toMatchObject({
      code: "not_found",
      message: "no such user",
      outcome: "executed",
      details: [{ typeName: "a.B" }],
    });
    const ofGrpc = { code: 7, details: "not yours", metadata: {} };
    for (const reason of [ofGrpc, Object.assign(new Error("7 PERMISSION_DENIED"), ofGrpc)]) {
      const error = await call(reason);
      expect(error).toMatchObject({ code: "permission_denied", message: "not yours" });
    }
    expect(log.lines.filter(({ level }) => level !== "info")).toEqual([]);
  });

  test("are hinted at in the log if they may come from another library", async () => {
    const error = await call(Object.assign(new Error("password=secret"), { code: 5 }));
    expect(error.code).toBe("internal");
    expect(error.message).not.toContain("secret");
    expect(log.lines.at(-1)?.fields.hint).toContain('throw new MicroError("not_found", message)');
    await call(Object.assign(new Error("duplicate key"), { code: "23505" }));
    expect(log.lines.at(-1)?.fields).not.toHaveProperty("hint");
  });
});

test("whatever subscribers throw, the event is redelivered and others are delivered too", async () => {
  for (const [, make] of thrown) {
    const broker = memoryBroker({ logger: recordingLogger() });
    let handled = 0;
    await broker.subscribe(
      "orders",
      () => {
        if (++handled === 1) throw make();
      },
      { redeliveryBackoffMs: 1, maxDeliveries: 2 },
    );
    const body = new Uint8Array();
    await broker.publish("orders", { body, contentType: "x", typeName: "" });
    await expect.poll(() => handled).toBe(2);
    await broker.close();
  }
});
