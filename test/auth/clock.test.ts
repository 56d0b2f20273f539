import {
  createServer,
  goMicroTransport,
  httpTransport,
  MemoryNetwork,
  MemoryRegistryNetwork,
  Metadata,
  memoryRegistry,
  memoryTransport,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { jwtAuth } from "@micro-es/runtime/auth";
import { afterEach, expect, test, vi } from "vitest";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf, outgoing, recordingLogger } from "../support/server.ts";
import { TokenIssuer } from "../support/token-issuer.ts";

const issuer = new TokenIssuer("https://issuer.example", "echo");
const restricted: EchoMethod = { ...echo.echo, auth: {} };
const hourMs = 60 * 60_000;
const decadeMs = 10 * 365 * 24 * hourMs;
const open: { close(): unknown }[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const it of open.splice(0).reverse()) await it.close();
});

const memory = memoryTransport({ network: new MemoryNetwork() });
const ways: Record<string, readonly [serve: Transport, address: string, call: Transport]> = {
  native: [tcpTransport(), "127.0.0.1:0", tcpTransport()],
  memory: [memory, "memory:0", memory],
  "go-micro": [tcpTransport(), "127.0.0.1:0", goMicroTransport()],
  gRPC: [tcpTransport(), "127.0.0.1:0", httpTransport()],
  "gRPC-Web": [tcpTransport(), "127.0.0.1:0", httpTransport({ protocol: "grpc-web" })],
  Connect: [tcpTransport(), "127.0.0.1:0", httpTransport({ protocol: "connect" })],
};

test.each(Object.entries(ways))(
  "a clock that is set back by an hour, or on by ten years and back, revives no token, by %s",
  async (_, [transport, address, call]) => {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    const server = createServer({
      ...{ name: "echo", registry, logger: silentLogger, listen: [{ transport, address }] },
      environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
      auth: jwtAuth({ issuer: issuer.issuer, audience: "echo", keys: issuer.jwks }),
    });
    server.unary(restricted, ({ text }) => ({ text }));
    await server.start();
    const channel = await call.dial(server.addresses[0] ?? "");
    open.push(registry, server, channel);
    const present = (token: string) => {
      const metadata = new Metadata({ authorization: `Bearer ${token}` });
      return channel.unary(restricted, { text: "a" }, outgoing({ metadata }));
    };
    vi.useFakeTimers({ toFake: ["Date"] });
    const now = Date.now();
    const used = issuer.token();
    const unused = issuer.token();
    expect((await present(used)).text).toBe("a");
    const refused = async (token: string) =>
      expect(await errorOf(present(token))).toMatchObject({ code: "unauthenticated" });

    vi.setSystemTime(now + 2 * hourMs);
    await refused(unused);
    vi.setSystemTime(now);
    await refused(unused);
    vi.setSystemTime(now - hourMs);
    await refused(unused);
    const fresh = issuer.token();
    vi.setSystemTime(now + decadeMs);
    await refused(fresh);
    vi.setSystemTime(now);
    await refused(fresh);
    await refused(unused);
  },
);

test("after a clock was ahead for a moment, the log says why tokens are refused until a restart", async () => {
  const log = recordingLogger();
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = createServer({
    ...{
      name: "echo",
      registry,
      logger: log,
      listen: [{ transport: memory, address: "memory:0" }],
    },
    environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
    auth: jwtAuth({ issuer: issuer.issuer, audience: "echo", keys: issuer.jwks }),
  });
  server.unary(restricted, ({ text }) => ({ text }));
  await server.start();
  const channel = await memory.dial(server.addresses[0] ?? "");
  open.push(registry, server, channel);
  const refusal = async () => {
    const metadata = new Metadata({ authorization: `Bearer ${issuer.token()}` });
    const call = channel.unary(restricted, { text: "a" }, outgoing({ metadata }));
    const { code, message } = await errorOf(call);
    return { code, message, reason: String(log.lines.at(-1)?.fields.reason) };
  };
  vi.useFakeTimers({ toFake: ["Date"] });
  const now = Date.now();
  const early = issuer.token();
  vi.setSystemTime(now + decadeMs);
  const metadata = new Metadata({ authorization: `Bearer ${early}` });
  await errorOf(channel.unary(restricted, { text: "a" }, outgoing({ metadata })));
  expect(log.lines.at(-1)?.fields.reason).toMatch(/the token has expired$/);
  vi.setSystemTime(now);
  const { code, message, reason } = await refusal();
  expect(code).toBe("unauthenticated");
  expect(message).not.toMatch(/clock/);
  expect(reason).toMatch(/a clock that was set back by 31\d{7} s since.*restart the service/);
});
