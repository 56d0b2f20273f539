import {
  createClient,
  createServer,
  goMicroTransport,
  MemoryNetwork,
  MemoryRegistryNetwork,
  memoryRegistry,
  memoryTransport,
  type Server,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { forwardCaller, staticToken } from "@micro-es/runtime/auth";
import { afterEach, describe, expect, test } from "vitest";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf } from "../support/server.ts";
import { TokenAuth } from "./token-auth.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const asked: EchoMethod = { ...echo.echo, auth: {} };

async function serve(name: string, auth: TokenAuth, transport: Transport, address: string) {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = createServer({
    ...{ name, registry, auth, logger: silentLogger },
    listen: [{ transport, address }],
    environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
  });
  open.push(registry, server);
  return server;
}

const memory = memoryTransport({ network: new MemoryNetwork() });
const places: Record<string, [serving: Transport, calling: Transport, address: string]> = {
  native: [tcpTransport(), tcpTransport(), "127.0.0.1:0"],
  "go-micro": [tcpTransport(), goMicroTransport(), "127.0.0.1:0"],
  memory: [memory, memory, "memory:0"],
};

describe.each(Object.entries(places))("over %s", (_, [serving, calling, at]) => {
  test("a handler forwards its caller to the services that it names, and to no other", async () => {
    const auth = new TokenAuth();
    const token = auth.issue();
    const back = await serve("back", auth, serving, at);
    back.unary(asked, (_request, { account }) => ({ text: account?.id ?? "" }));
    await back.start();
    const client = createClient({ transports: [calling], logger: silentLogger });
    open.push(client);
    const front: Server = await serve("front", auth, serving, at);
    front.unary(asked, ({ text: service }, context) => {
      const credentials = forwardCaller(context, { services: ["back"] });
      const address = back.addresses[0] ?? "";
      return client.unary(asked, {}, { context, credentials, service, address });
    });
    await front.start();
    const user = createClient({
      ...{ transports: [calling], logger: silentLogger, credentials: staticToken(token) },
    });
    open.push(user);
    const call = (text: string) =>
      user.unary(asked, { text }, { address: front.addresses[0] ?? "", retry: false });
    expect(await call("back")).toMatchObject({ text: "user-1" });
    expect(await call("back")).toMatchObject({ text: "user-1" });
    const error = await errorOf(call("elsewhere"));
    expect(error).toMatchObject({ code: "failed_precondition" });
    expect(error.message).not.toContain(token);
    const anonymous = user.unary(
      asked,
      { text: "back" },
      { address: front.addresses[0] ?? "", credentials: false },
    );
    expect((await errorOf(anonymous)).code).toBe("unauthenticated");
  });
});
