import {
  MemoryRegistryNetwork,
  memoryRegistry,
  type Server,
  tcpTransport,
} from "@micro-es/runtime";
import { registerGrpcHealth } from "@micro-es/runtime/debug/grpc";
import { afterEach, describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { recordingLogger } from "../../../test/support/server.ts";
import type { HttpProtocolOptions } from "../transport/http/protocol-server.ts";
import type { ServerParts } from "./rpc-server.ts";
import { buildServer } from "./rpc-server.ts";

const open: Server[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

function build(parts: Partial<ServerParts> = {}, http: HttpProtocolOptions = {}): Server {
  const listen = [{ transport: tcpTransport({ http }), address: "127.0.0.1:0" }];
  const server = buildServer({ name: "echo", listen, drainDelayMs: 0, ...parts });
  server.unary(echo.echo, ({ text }) => ({ text }));
  open.push(server);
  return server;
}

async function probe(server: Server, path: string): Promise<string> {
  const response = await fetch(`http://${server.addresses[0]}${path}`);
  return `${response.status} ${(await response.text()).trim()}`;
}

describe("health probes", () => {
  test("respond 200 while the server listens", async () => {
    const server = build();
    await server.start();
    expect(await probe(server, "/healthz")).toBe("200 ok");
    expect(await probe(server, "/readyz?verbose")).toBe("200 ok");
    const head = await fetch(`http://${server.addresses[0]}/readyz`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("cache-control")).toBe("no-store");
  });

  test("respond over HTTP/2 too", async () => {
    const server = build();
    await server.start();
    const { connect } = await import("node:http2");
    const session = connect(`http://${server.addresses[0]}`);
    const stream = session.request({ ":path": "/readyz" });
    const status = new Promise((resolve) =>
      stream.once("response", (header) => resolve(header[":status"])),
    );
    stream.resume().end();
    expect(await status).toBe(200);
    session.close();
  });

  test("report that the server is not ready before it is registered", async () => {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    let register = () => {};
    const registering = new Promise<void>((reached) => {
      const inner = registry.register.bind(registry);
      registry.register = async (...parameters) => {
        await new Promise<void>((go) => {
          register = go;
          reached();
        });
        return inner(...parameters);
      };
    });
    const server = build({ registry });
    const started = server.start();
    await registering;
    expect(await probe(server, "/readyz")).toBe("503 starting");
    expect(await probe(server, "/healthz")).toBe("200 ok");
    let isStarted = false;
    void started.then(() => {
      isStarted = true;
    });
    // The server registers once per service name.
    await expect
      .poll(() => {
        register();
        return isStarted;
      })
      .toBe(true);
    expect(await probe(server, "/readyz")).toBe("200 ok");
  });

  test("report a drain while calls are still accepted, so that a load balancer can react", async () => {
    const server = build({ drainDelayMs: 60_000 });
    await server.start();
    expect(await probe(server, "/readyz")).toBe("200 ok");
    const drained = server.drain();
    await expect.poll(() => server.state).toBe("draining");
    expect(await probe(server, "/readyz")).toBe("503 draining");
    expect(await probe(server, "/healthz")).toBe("200 ok");
    const call = await fetch(`http://${server.addresses[0]}/${echo.echo.name}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"text":"late"}',
    });
    expect(await call.json()).toEqual({ text: "late" });
    await server.close();
    await drained;
  });

  test("name the checks that fail, and log one that throws once", async () => {
    const logger = recordingLogger();
    const server = build({ logger });
    let isConnected = false;
    server.addReadinessCheck("database", () => isConnected);
    server.addReadinessCheck("cache", () => {
      if (!isConnected) throw new Error("secret: no cache");
      return true;
    });
    await server.start();
    expect(await probe(server, "/readyz")).toBe("503 not ready: database, cache");
    expect(await probe(server, "/readyz")).toBe("503 not ready: database, cache");
    expect(await probe(server, "/healthz")).toBe("200 ok");
    const warnings = logger.lines.filter(({ level }) => level === "warn");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.fields).toMatchObject({ check: "cache" });
    isConnected = true;
    expect(await probe(server, "/readyz")).toBe("200 ok");
  });

  test("follow the status that gRPC health checks report", async () => {
    const server = build();
    const health = registerGrpcHealth(server);
    await server.start();
    health.set("", "not_serving");
    expect(await probe(server, "/readyz")).toBe("503 not ready: gRPC health");
    health.set("", "serving");
    expect(await probe(server, "/readyz")).toBe("200 ok");
  });

  test("can be switched off", async () => {
    const server = build({}, { health: false });
    await server.start();
    expect(await probe(server, "/healthz")).toMatch(/^404/);
    expect(await probe(server, "/readyz")).toMatch(/^404/);
  });
});
