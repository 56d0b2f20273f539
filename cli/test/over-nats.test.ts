import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NatsLink, natsParts, natsTransport } from "@micro-es/nats";
import { createService, silentLogger } from "@micro-es/runtime";
import { registerGrpcHealth, registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { skipWithoutNats, startNats } from "../../drivers/nats/test/server.ts";
import { registerEchoServiceHandler } from "../../test/gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../test/support/echo.ts";
import { inCi } from "../../test/support/long.ts";
import { micro } from "./support/micro.ts";

describe.skipIf(skipWithoutNats || !inCi)("a service that is only reachable over NATS", () => {
  test("can be called, described and checked by name, and by its subject", async () => {
    const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
    onTestFinished(() => rmSync(scratch, { recursive: true }));
    await using server = await startNats();
    await using link = new NatsLink({ servers: server.url });
    const service = createService({
      name: "echo",
      environment: {},
      logger: silentLogger,
      ...natsParts({ link, logger: silentLogger }),
      transports: [natsTransport({ link })],
      address: "nats:0",
    });
    registerEchoServiceHandler(service.server, { ...echoHandler("red"), onEchoed() {} });
    registerGrpcReflection(service.server);
    registerGrpcHealth(service.server);
    await service.start();
    onTestFinished(() => service.stop());
    const [address = ""] = service.server.addresses;
    const env = { HOME: scratch, XDG_CONFIG_HOME: scratch, MICRO_BACKEND: server.url };
    for (const place of ["echo", address]) {
      const called = await micro(["call", place, "EchoService/Echo", '{"text":"hi"}'], { env });
      expect([called.stderr, JSON.parse(called.stdout)]).toEqual([
        "",
        expect.objectContaining({ text: "hi" }),
      ]);
      const { stdout } = await micro(["describe", place], { env });
      expect(stdout).toContain("rpc Echo(EchoRequest) returns (EchoResponse)");
      expect((await micro(["health", place], { env })).stdout).toMatch(/^serving /);
    }
    const doctor = await micro(["doctor"], { env });
    expect(doctor.stdout).toMatch(
      /✓ backends: the nats registry responds, with 1 services; the nats store responds/,
    );
    const storeOnly = { HOME: scratch, XDG_CONFIG_HOME: scratch, MICRO_STORE: server.url };
    expect((await micro(["doctor"], { env: storeOnly })).stdout).toMatch(
      /✓ backends: the nats store responds/,
    );
    const nowhere = await micro(["call", address, "EchoService/Echo", "{}"], {
      env: { ...env, MICRO_BACKEND: "" },
    });
    expect(nowhere.stderr).toMatch(/no transport.*nats:/);
    await service.stop();
  });
});
