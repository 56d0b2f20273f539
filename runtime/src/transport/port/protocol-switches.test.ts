import { connect } from "node:net";
import {
  createClient,
  createService,
  goMicroTransport,
  httpTransport,
  MemoryRegistryNetwork,
  type MicroError,
  memoryRegistry,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { failure, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import { errorOf, registerEcho } from "../../../../test/support/server.ts";
import { buildServer } from "../../server/rpc-server.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };

async function serviceWith(environment: Record<string, string>) {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const service = createService({
    name: "echo",
    registry,
    logger: silent,
    environment: { MICRO_ADDRESS: "127.0.0.1:0", MICRO_BROKER: "memory", ...environment },
  });
  registerEcho(service.server);
  await service.start();
  open.push({ close: () => service.stop() });
  return { address: service.server.addresses[0]!, registry };
}

const ways: Record<string, (address: string) => [Transport, string]> = {
  native: (address) => [tcpTransport(), address],
  grpc: (address) => [httpTransport(), `http://${address}`],
  "grpc-web": (address) => [httpTransport({ protocol: "grpc-web" }), `http://${address}`],
  connect: (address) => [httpTransport({ protocol: "connect" }), `http://${address}`],
  "go-micro": (address) => [goMicroTransport(), `mucp://${address}`],
};

async function say([transport, address]: [Transport, string]): Promise<string> {
  const channel = await transport.dial(address);
  try {
    return (await channel.unary(echo.echo, { text: "hi" }, outgoing())).text;
  } finally {
    await channel.close();
  }
}

async function refusal(way: [Transport, string]): Promise<string> {
  const error = await errorOf(say(way));
  expect(error).toMatchObject({
    code: expect.stringMatching(/^(?:unimplemented|unavailable)$/),
    // A 404 may also come from a proxy, which states no outcome.
    outcome: way[0].name === "go-micro" ? "unknown" : "not-executed",
  });
  return (error as MicroError).message;
}

test.each(Object.keys(ways))(
  "MICRO_PROTOCOLS without %s refuses it with an explanation",
  async (name) => {
    const others = Object.keys(ways).filter((it) => it !== name);
    const { address } = await serviceWith({ MICRO_PROTOCOLS: others.join(", ") });
    for (const other of others) expect(await say(ways[other]!(address))).toBe("hi");
    expect(await refusal(ways[name]!(address))).toMatch(
      /switched off at 127\.0\.0\.1:\d+ \(option .*, MICRO_PROTOCOLS\)/,
    );
  },
);

test.each(Object.keys(ways))("MICRO_PROTOCOLS=%s refuses all others", async (name) => {
  const { address } = await serviceWith({ MICRO_PROTOCOLS: name });
  expect(await say(ways[name]!(address))).toBe("hi");
  for (const other of Object.keys(ways).filter((it) => it !== name)) {
    expect(await refusal(ways[other]!(address))).toContain("switched off");
  }
});

test.each(["grpc", "connect", "grpc-web", "go-micro"])(
  "clients call a service without the native protocol by its protocols: %s",
  async (name) => {
    const { registry } = await serviceWith({ MICRO_PROTOCOLS: name });
    const transports = [
      tcpTransport(),
      httpTransport(),
      httpTransport({ protocol: "connect" }),
      httpTransport({ protocol: "grpc-web" }),
      goMicroTransport(),
    ];
    const client = createClient({ registry, transports, logger: silent });
    open.push(client);
    expect(await client.unary(echo.echo, { text: "hi" })).toMatchObject({ text: "hi" });
  },
);

test("MICRO_PROTOCOLS is checked like other variables", () => {
  for (const wrong of ["http", "native,,grpc", "Native", "grpc;connect"]) {
    const environment = { MICRO_PROTOCOLS: wrong };
    expect(() => createService({ name: "echo", environment })).toThrow(
      /MICRO_PROTOCOLS=.* is not allowed: it sets protocols.*allowed: native, connect, grpc, grpc-web, go-micro/,
    );
  }
});

test("a stream of a protocol that is switched off fails in that protocol", async () => {
  const { address } = await serviceWith({ MICRO_PROTOCOLS: "native" });
  for (const name of ["grpc", "grpc-web", "connect"]) {
    const [transport, at] = ways[name]!(address);
    const channel = await transport.dial(at);
    open.push(channel);
    const call = async () => {
      for await (const _ of channel.stream(echo.repeat, [{ text: "a" }], outgoing())) break;
    };
    await failure(call(), "unimplemented", "not-executed");
  }
});

test("HTTP/1.1 and HTTP/2 get an error if HTTP is switched off", async () => {
  const errors: MicroError[] = [];
  const transport = tcpTransport({ http: false, goMicro: false });
  const server = buildServer({
    name: "echo",
    listen: [{ transport, address: "127.0.0.1:0" }],
    logger: { ...silent, warn: (fields) => errors.push(fields.error as MicroError) },
  });
  registerEcho(server);
  await server.start();
  open.push(server);
  const address = server.addresses[0]!;
  for (const request of [
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ]) {
    const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
    socket.write(request);
    let received = "";
    for await (const bytes of socket) received += bytes;
    expect(received).toContain("is switched off at");
    if (!request.startsWith("PRI")) expect(received).toMatch(/^HTTP\/1\.1 501 /);
  }
});
