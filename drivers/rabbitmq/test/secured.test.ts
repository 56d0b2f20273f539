import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { silentLogger as logger } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { freePort } from "@micro-es/test-support/free-ports";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutRabbitMq)("a broker on RabbitMQ by TLS, with a password", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-rabbitmq-tls-"));
  const authority = new TestAuthority();
  const user = { user: "ada", password: "s3cret" };
  let server: RabbitMqServer;
  let servers: string;
  let tls: { readonly ca: string; readonly cert: string; readonly key: string };
  beforeAll(async () => {
    const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    const files = { ca: authority.ca, cert: own.cert, key: own.key };
    for (const [name, pem] of Object.entries(files)) {
      writeFileSync(join(directory, `${name}.pem`), pem, { mode: 0o600 });
    }
    const port = await freePort();
    servers = `127.0.0.1:${port}`;
    server = await startRabbitMq({
      settings: [
        `listeners.ssl.1 = ${servers}`,
        `ssl_options.cacertfile = ${join(directory, "ca.pem")}`,
        `ssl_options.certfile = ${join(directory, "cert.pem")}`,
        `ssl_options.keyfile = ${join(directory, "key.pem")}`,
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
        `default_user = ${user.user}`,
        `default_pass = ${user.password}`,
      ],
    });
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    tls = { ca: authority.ca, cert, key };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  test("delivers with the client certificate that RabbitMQ requires", async () => {
    await using broker = rabbitmqBroker({ servers, tls, ...user, logger });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await broker.publish("topic", { ...textEvent, id: "1" });
    await expect.poll(() => seen).toEqual(["1"]);
  });

  test("refuses an untrusted certificate, and is refused without one", async () => {
    const options = { servers, ...user, timeoutMs: 5_000, logger };
    await using strict = rabbitmqBroker({ ...options, tls: true });
    expect((await errorOf(strict.publish("topic", textEvent))).message).toMatch(/certificate/);
    await using bare = rabbitmqBroker({ ...options, tls: { ca: tls.ca }, startTimeoutMs: 0 });
    const refused = await errorOf(bare.publish("topic", textEvent));
    expect(refused).toMatchObject({ code: "unavailable", outcome: "not-executed" });
  });

  test("fails at once with a wrong password, which no message shows", async () => {
    const options = { servers: server.address, logger };
    for (const who of [{ user: "ada", password: "wr0ng" }, {}]) {
      await using broker = rabbitmqBroker({ ...options, ...who });
      const refused = await errorOf(broker.publish("topic", textEvent));
      expect(refused).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
      expect(refused.message).not.toMatch(/wr0ng/);
    }
    await using lost = rabbitmqBroker({ ...options, ...user, vhost: "nowhere" });
    const refused = await errorOf(lost.subscribe("topic", () => {}));
    expect(refused.message).toContain("the virtual host does not exist");
    expect(refused).toMatchObject({ code: "permission_denied", outcome: "not-executed" });
  });
});
