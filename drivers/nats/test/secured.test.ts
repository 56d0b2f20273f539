import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerContract } from "@micro-es/contract/broker";
import { configSourceContract } from "@micro-es/contract/config";
import { registryContract } from "@micro-es/contract/registry";
import { storeContract } from "@micro-es/contract/store";
import { syncContract } from "@micro-es/contract/sync";
import { transportContract } from "@micro-es/contract/transport";
import {
  jetstreamBroker,
  NatsLink,
  type NatsOptions,
  natsBroker,
  natsRegistry,
  natsStore,
  natsSync,
  natsTransport,
} from "@micro-es/nats";
import { type Node, silentLogger } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { connect, credsAuthenticator, type NatsConnection, nkeys } from "nats";
import { afterAll, beforeAll, describe, test } from "vitest";
import { bucketFixture } from "./config-bucket.ts";
import { issueCredentials } from "./credentials.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const registryNode = new URL("registry-node.ts", import.meta.url).href;

const logger = silentLogger;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Each driver passes its contract over TLS, and each way of saying who we are is used by some. */
describe.skipIf(skipWithoutNats)("drivers on a server that is secured", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-nats-secured-"));
  const servers: NatsServer[] = [];
  let names = 0;
  const ways: Record<"password" | "nkey" | "credentials", NatsOptions> = {
    password: {},
    nkey: {},
    credentials: {},
  };
  let link: NatsLink;
  /** What changes the configuration. */
  let tools: NatsConnection;

  beforeAll(async () => {
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1".split(
      " ",
    );
    const names = [
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ];
    execFileSync("openssl", [...request, ...names, "-out", cert, "-keyout", key], {
      stdio: "ignore",
    });
    const ca = readFileSync(cert, "utf8");
    const tls = `tls { cert_file: "${cert}", key_file: "${key}" }\n`;
    const start = async (config: string, who: NatsOptions): Promise<NatsOptions> => {
      const server = await startNats({ config: tls + config });
      servers.push(server);
      return { servers: server.url, tls: { ca }, ...who };
    };
    const user = nkeys.createUser();
    const issued = issueCredentials();
    const file = join(directory, "user.creds");
    writeFileSync(file, issued.credentials, { mode: 0o600 });
    ways.password = await start('authorization { user: "ada", password: "s3cret" }', {
      user: "ada",
      password: "s3cret",
    });
    ways.nkey = await start(`authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`, {
      nkey: text(user.getSeed()),
    });
    ways.credentials = await start(issued.config, { credentials: file });
    link = new NatsLink(ways.nkey);
    tools = await connect({
      servers: [ways.credentials.servers ?? []].flat(),
      tls: { ca },
      authenticator: credsAuthenticator(Buffer.from(issued.credentials)),
    });
  });
  afterAll(async () => {
    await tools?.close();
    await link?.close();
    for (const server of servers) await server.close();
    rmSync(directory, { recursive: true });
  });

  describe("core broker, by password", () => {
    const join = (more: { readonly closeGraceMs?: number } = {}) =>
      natsBroker({ ...ways.password, logger, ...more });
    const create = async (count: number) => ({
      brokers: Array.from({ length: count }, () => join()),
      join,
    });
    for (const { name, run } of brokerContract(create)) test(name, run);
  });
  describe("JetStream broker, by credentials", () => {
    const create = async (count: number) => {
      const stream = `S${names++}`;
      const options = { ...ways.credentials, stream, prefix: `p${stream}`, logger };
      const join = (more: { readonly closeGraceMs?: number } = {}) =>
        jetstreamBroker({ ...options, ...more });
      return { brokers: Array.from({ length: count }, () => join()), join };
    };
    for (const { name, run } of brokerContract(create)) test(name, run);
  });
  describe("registry, by password", () => {
    const create = async () => {
      const bucket = `registry-${names++}`;
      const { servers, ...security } = ways.password;
      return {
        connect: () => natsRegistry({ ...ways.password, bucket }),
        spawn: (node: Node, ttlMs: number) =>
          startProgram(registryNode, { servers, security, bucket, node, ttlMs }),
      };
    };
    for (const { name, run } of registryContract(create)) test(name, run);
  });
  describe("store, by credentials", () => {
    const create = async () => natsStore({ ...ways.credentials, bucket: `store-${names++}` });
    for (const { name, run } of storeContract(create)) test(name, run);
  });
  describe("sync, by nkey", () => {
    const create = async () => {
      const bucket = `sync-${names++}`;
      return { connect: () => natsSync({ ...ways.nkey, bucket }) };
    };
    for (const { name, run } of syncContract(create)) test(name, run);
  });
  describe("config source, by credentials", () => {
    const create = () => bucketFixture(ways.credentials, `config-${names++}`, tools);
    for (const { name, run } of configSourceContract(create)) test(name, run);
  });
  describe("transport, by nkey", () => {
    const under = {
      create: (limits = {}) => natsTransport({ link, ...limits }),
      freeAddress: () => "nats:0",
      nowhere: "nats:nowhere.at.all",
    };
    for (const { name, run } of transportContract(under)) test(name, run);
  });
});
