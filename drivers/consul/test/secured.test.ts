import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConsulLink, type ConsulTlsOptions, consulRegistry } from "@micro-es/consul";
import { registryContract } from "@micro-es/contract/registry";
import type { Node } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { type ConsulServer, consulVersion, skipWithoutConsul, startConsul } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;
const node: Node = {
  id: "secured-1",
  service: "secured",
  version: "1",
  address: "127.0.0.1:9",
  metadata: {},
  endpoints: [],
};

describe.skipIf(skipWithoutConsul)("a registry in a Consul with ACLs", () => {
  const root = randomUUID();
  let server: ConsulServer;
  let admin: ConsulAdmin;
  beforeAll(async () => {
    const name = consulVersion?.startsWith("1.8.") ? "master" : "initial_management";
    server = await startConsul({
      settings: `acl { enabled = true default_policy = "deny" tokens { ${name} = "${root}" agent = "${root}" } }`,
      token: root,
    });
    admin = new ConsulAdmin(server.url, root);
  });
  afterAll(() => server?.close());

  /** A token with these rules. */
  const tokenFor = async (rules: string): Promise<string> => {
    const name = `p-${randomUUID()}`;
    await admin.put("acl/policy", { Name: name, Rules: rules });
    const made = await admin.put("acl/token", { Policies: [{ Name: name }] });
    return (JSON.parse(made) as { SecretID: string }).SecretID;
  };
  const connect = (token?: string) => {
    const registry = consulRegistry({
      address: server.url,
      timeoutMs: 1_000,
      ...(token === undefined ? {} : { token }),
    });
    onTestFinished(() => registry.close());
    return registry;
  };

  describe("with the rights that the docs list", () => {
    let token: string;
    beforeAll(async () => {
      token = await tokenFor(
        'service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }',
      );
    });
    const contract = registryContract(async () => {
      const options = { address: server.url, token };
      return {
        connect: () => consulRegistry(options),
        spawn: (each, ttlMs) => startProgram(nodeFile, { options, nodes: [each], ttlMs }),
      };
    });
    for (const { name, run } of contract) test(name, run);
  });

  test("an unknown token, and one without rights, are errors that say so", async () => {
    const unknown = randomUUID();
    const refused = await errorOf(connect(unknown).register(node));
    expect(refused).toMatchObject({ code: "permission_denied", outcome: "not-executed" });
    expect(refused.message).toMatch(/ACL not found/);
    expect(refused.message).not.toContain(unknown);
    const reader = await tokenFor('service_prefix "" { policy = "read" }');
    expect(await errorOf(connect(reader).register(node))).toMatchObject({
      code: "permission_denied",
    });
    expect(await errorOf(connect().register(node))).toMatchObject({ code: "permission_denied" });
  });

  test("a token that may not read its own node is told, and the node is deregistered", async () => {
    const blind = await tokenFor('service_prefix "" { policy = "write" }');
    const failure = await errorOf(connect(blind).register(node));
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(failure.message).toMatch(/the token may not read it \(service and node\)/);
    expect(await admin.service(node.id)).toBeUndefined();
  });
});

describe.skipIf(skipWithoutConsul)("a registry in a Consul by TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-consul-tls-"));
  const authority = new TestAuthority();
  let server: ConsulServer;
  let tls: ConsulTlsOptions;
  beforeAll(async () => {
    const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    const files = { cert: own.cert, key: own.key, ca: authority.ca };
    for (const [name, pem] of Object.entries(files)) {
      writeFileSync(join(directory, `${name}.pem`), pem, { mode: 0o600 });
    }
    const settings = Object.keys(files).map(
      (name) => `${name}_file = "${join(directory, `${name}.pem`)}"`,
    );
    server = await startConsul({
      scheme: "https",
      settings: [...settings, "verify_incoming_https = true"].join(" "),
    });
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    tls = { ca: authority.ca, cert, key };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  test("registers and finds with the client certificate that Consul requires", async () => {
    await using registry = consulRegistry({ address: `127.0.0.1:${server.port}`, tls });
    const registration = await registry.register(node, { ttlMs: 600 });
    expect(await registry.get("secured")).toHaveLength(1);
    await expect.poll(() => registration.active).toBe(true);
  });

  test("refuses a Consul with an untrusted certificate, and is refused without one", async () => {
    await using strict = consulRegistry({ address: server.url, startTimeoutMs: 0 });
    expect((await errorOf(strict.get("secured"))).message).toMatch(/certificate/);
    const { ca } = authority;
    const limits = { startTimeoutMs: 0, timeoutMs: 1_000 };
    await using bare = consulRegistry({ address: server.url, tls: { ca }, ...limits });
    expect(await errorOf(bare.get("secured"))).toMatchObject({ code: "unavailable" });
  });
});

test.each<[Parameters<typeof consulRegistry>[0], RegExp]>([
  [{ address: "ftp://host" }, /"ftp:\/\/host" is not the address of a Consul agent; use http:/],
  [{ address: "http://s3cret@host" }, /"…@host" is not the address/],
  [{ address: "http://host:70000" }, /is not the address/],
  [{ address: "" }, /address must be/],
  [{ address: "http://host", tls: true }, /says http, and the option tls is given; use https/],
  [{ token: "s3cret\r\nHost: evil" }, /token must be visible ASCII/],
  [{ datacenter: "a&b" }, /datacenter must be the name/],
  [{ timeoutMs: 0 }, /timeoutMs/],
])("refuses the options %o", (options, message) => {
  expect(() => consulRegistry(options)).toThrow(message);
  expect(() => consulRegistry(options)).not.toThrow(/s3cret/);
});

test("refuses invalid options of a link", () => {
  expect(() => new ConsulLink({ address: "" })).toThrow(/address/);
});
