import { generateKeyPairSync, verify } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pubsub, pubsubBroker } from "@micro-es/pubsub";
import { createService, silentLogger as logger } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "./gateway.ts";
import { type PubSubServer, skipWithoutPubSub, startPubSub } from "./server.ts";

const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutPubSub)("Pub/Sub by TLS, with credentials", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-pubsub-tls-"));
  const authority = new TestAuthority();
  const own = authority.issue({ names: ["DNS:localhost"] });
  const tls = { ca: authority.ca };
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = {
    type: "service_account",
    project_id: "acme-prod",
    private_key_id: "key-1",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: "micro@acme-prod.iam.gserviceaccount.com",
  };
  let server: PubSubServer;
  beforeAll(async () => {
    server = await startPubSub();
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  const fileOf = (name: string, content: object | string): string => {
    const path = join(directory, name);
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const gatewayWith = (accepts: (authorization: string | undefined) => boolean) =>
    startGateway({ cert: own.cert, key: own.key, target: server.address, accepts });

  /** Whether a token is one that the service account signed for the service. */
  const isSigned = (authorization: string | undefined): boolean => {
    const [, head = "", body = "", signature = ""] =
      /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization ?? "") ?? [];
    const claims = JSON.parse(Buffer.from(body, "base64url").toString() || "{}");
    const now = Date.now() / 1_000;
    return (
      claims.iss === account.client_email &&
      claims.sub === account.client_email &&
      claims.aud === "https://pubsub.googleapis.com/" &&
      claims.iat <= now + 1 &&
      claims.exp > now &&
      verify(
        "RSA-SHA256",
        Buffer.from(`${head}.${body}`),
        publicKey,
        Buffer.from(signature, "base64url"),
      )
    );
  };

  test("delivers with tokens that a service account signs, chosen by a URL", async () => {
    await using gateway = await gatewayWith(isSigned);
    const credentials = fileOf("account.json", account);
    const ca = fileOf("ca.pem", authority.ca);
    await using service = createService({
      drivers: [pubsub],
      logger,
      name: "echo",
      environment: {
        MICRO_BROKER: `pubsub:?endpoint=${gateway.address}&ca=${ca}`,
        MICRO_REGISTRY: "memory:",
        MICRO_ADDRESS: "memory:0",
        GOOGLE_APPLICATION_CREDENTIALS: credentials,
      },
    });
    const seen: string[] = [];
    await service.broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    await service.broker.publish("topic", { ...textEvent, id: "1" });
    await expect.poll(() => seen).toEqual(["1"]);
    // The project is that of the file.
    expect(routes(gateway)).toContain("topic=projects%2Facme-prod%2Ftopics%2Fmicro.topic");
  });

  test("delivers with tokens of a token endpoint, which it asks again when one is refused", async () => {
    const issued: string[] = [];
    const forms: string[] = [];
    const endpoint = createServer((request, response) => {
      request.on("data", (chunk) => forms.push(String(chunk)));
      request.on("end", () => {
        issued.push(`token-${issued.length + 1}`);
        response.end(JSON.stringify({ access_token: issued.at(-1), expires_in: 3_600 }));
      });
    }).listen(0, "127.0.0.1");
    await once(endpoint, "listening");
    const { port } = endpoint.address() as AddressInfo;
    try {
      await using gateway = await gatewayWith((it) => it === "Bearer token-2");
      const credentials = fileOf("user.json", {
        type: "authorized_user",
        client_id: "client",
        client_secret: "s3cret",
        refresh_token: "refr3sh",
        token_uri: `http://127.0.0.1:${port}/token`,
      });
      await using broker = pubsubBroker({
        ...{ endpoint: gateway.address, tls, credentials, project: "acme-user", logger },
        environment: {},
      });
      await broker.publish("topic", textEvent);
      await broker.publish("topic", textEvent);
      expect(issued).toEqual(["token-1", "token-2"]);
      expect(Object.fromEntries(new URLSearchParams(forms[0]))).toMatchObject({
        grant_type: "refresh_token",
        client_secret: "s3cret",
        refresh_token: "refr3sh",
      });
    } finally {
      endpoint.close();
    }
  });

  test("delivers with tokens of the machine's account, or of a function", async () => {
    const metadata = createServer((request, response) => {
      const isRight = request.headers["metadata-flavor"] === "Google";
      response.statusCode = isRight ? 200 : 403;
      response.end(JSON.stringify({ access_token: "machine", expires_in: 3_600 }));
    }).listen(0, "127.0.0.1");
    await once(metadata, "listening");
    const { port } = metadata.address() as AddressInfo;
    try {
      await using gateway = await gatewayWith((it) => /^Bearer (machine|own)$/.test(it ?? ""));
      const options = { endpoint: gateway.address, tls, project: "acme-prod", logger };
      const environment = { GCE_METADATA_HOST: `127.0.0.1:${port}` };
      await using machine = pubsubBroker({ ...options, environment });
      await machine.publish("topic", textEvent);
      await using own = pubsubBroker({ ...options, accessToken: async () => "own" });
      await own.publish("topic", textEvent);
      const used = new Set(gateway.requests.map(({ authorization }) => authorization));
      expect([...used]).toEqual(["Bearer machine", "Bearer own"]);
    } finally {
      metadata.close();
    }
  });

  test("refuses an untrusted certificate, before it sends a token", async () => {
    await using gateway = await gatewayWith(() => true);
    await using strict = pubsubBroker({
      ...{ endpoint: gateway.address, project: "acme-prod", startTimeoutMs: 0, logger },
      accessToken: () => "own",
    });
    expect((await errorOf(strict.publish("topic", textEvent))).message).toMatch(/certificate/);
    expect(gateway.requests).toEqual([]);
  });

  test("fails at once with credentials that are refused, which no message shows", async () => {
    await using gateway = await gatewayWith(() => false);
    const options = { endpoint: gateway.address, tls, project: "acme-prod", logger };
    await using broker = pubsubBroker({ ...options, accessToken: () => "wr0ng" });
    for (const attempt of [broker.publish("t", textEvent), broker.subscribe("t", () => {})]) {
      const refused = await errorOf(attempt);
      expect(refused).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
      expect(refused.message).not.toMatch(/wr0ng/);
    }
  });

  test.each([
    ["none.json", undefined, /cannot read the credentials file .*none.json: ENOENT/],
    ["text.json", "s3cret", /text.json: it is not JSON/],
    ["type.json", { type: "external_account" }, /has the type "external_account"/],
    ["short.json", { ...account, client_email: undefined }, /short.json has no client_email/],
    ["key.json", { ...account, private_key: "s3cret" }, /key.json is not a private key in PEM/],
  ])("refuses the file %s", async (name, content, message) => {
    const credentials = content === undefined ? join(directory, name) : fileOf(name, content);
    await using broker = pubsubBroker({
      ...{ endpoint: "localhost:1", credentials, project: "acme-prod", logger },
    });
    const refused = await errorOf(broker.publish("topic", textEvent));
    expect(refused).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect(refused.message).toMatch(message);
    expect(refused.message).not.toContain("s3cret");
  });
});

function routes({ requests }: Gateway): readonly unknown[] {
  return requests.map((headers) => headers["x-goog-request-params"]);
}
