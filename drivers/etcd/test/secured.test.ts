import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { registryContract } from "@micro-es/contract/registry";
import { EtcdLink, type EtcdTlsOptions, etcdRegistry } from "@micro-es/etcd";
import type { Node } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;
const node: Node = {
  id: "secured-1",
  service: "secured",
  version: "1",
  address: "127.0.0.1:9",
  metadata: {},
  endpoints: [],
};

describe.skipIf(skipWithoutEtcd)("a registry in an etcd with users", () => {
  let server: EtcdServer;
  let fleets = 0;
  const who = { user: "ada", password: "s3cret" };
  beforeAll(async () => {
    server = await startEtcd({ flags: ["--auth-token-ttl", "2", "--bcrypt-cost", "4"] });
    await new EtcdAdmin(server.url).secure(who.user, who.password);
  });
  afterAll(() => server?.close());

  const contract = registryContract(async () => {
    const options = { ...who, endpoints: server.url, prefix: `/fleet-${fleets++}` };
    return {
      connect: () => etcdRegistry(options),
      spawn: (each, ttlMs) => startProgram(nodeFile, { options, nodes: [each], ttlMs }),
    };
  });
  for (const { name, run } of contract) test(name, run);

  test("replaces expired tokens without missing a change", async () => {
    const connect = () => etcdRegistry({ ...who, endpoints: server.url, prefix: "/expiring" });
    await using watching = connect();
    await using writing = connect();
    expect(await watching.get("secured")).toEqual([]);
    await writing.list();
    // Longer than tokens live, with nothing that would renew them.
    await sleep(3_500);
    const registration = await writing.register(node);
    await expect.poll(() => watching.get("secured")).toHaveLength(1);
    expect(await watching.get("another")).toEqual([]);
    await registration.close();
    await expect.poll(() => watching.get("secured")).toHaveLength(0);
    expect(watching.state).toBe("healthy");
  });

  test("a wrong password, and a user without rights, are errors that say so", async () => {
    const wrong = etcdRegistry({ ...who, password: "guess", endpoints: server.url });
    onTestFinished(() => wrong.close());
    const refused = await errorOf(wrong.register(node));
    expect(refused).toMatchObject({ code: "unauthenticated" });
    expect(refused.message).toContain("as ada: check user and password");
    expect(refused.message).not.toContain("guess");
    const nobody = etcdRegistry({ endpoints: server.url });
    onTestFinished(() => nobody.close());
    expect((await errorOf(nobody.register(node))).code).toMatch(/invalid_argument|unauthenticated/);
    const elsewhere = etcdRegistry({ ...who, endpoints: server.url, prefix: "outside" });
    onTestFinished(() => elsewhere.close());
    expect(await errorOf(elsewhere.register(node))).toMatchObject({ code: "permission_denied" });
    expect(await errorOf(elsewhere.get("secured"))).toMatchObject({ code: "permission_denied" });
  });
});

describe.skipIf(skipWithoutEtcd)("a registry in an etcd by TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-etcd-tls-"));
  const authority = new TestAuthority();
  let server: EtcdServer;
  let tls: EtcdTlsOptions;
  beforeAll(async () => {
    const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    const files = { cert: own.cert, key: own.key, ca: authority.ca };
    for (const [name, pem] of Object.entries(files)) {
      writeFileSync(join(directory, `${name}.pem`), pem, { mode: 0o600 });
    }
    const file = (name: string) => join(directory, `${name}.pem`);
    const flags = ["--cert-file", file("cert"), "--key-file", file("key")];
    const clients = ["--trusted-ca-file", file("ca"), "--client-cert-auth"];
    server = await startEtcd({ scheme: "https", flags: [...flags, ...clients] });
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    tls = { ca: authority.ca, cert, key };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  test("registers and finds with the client certificate that etcd requires", async () => {
    await using registry = etcdRegistry({ endpoints: `127.0.0.1:${server.port}`, tls });
    await registry.register(node);
    expect(await registry.get("secured")).toHaveLength(1);
  });

  test("refuses an etcd with an untrusted certificate, and is refused without one", async () => {
    await using strict = etcdRegistry({ endpoints: server.url, startTimeoutMs: 0 });
    expect((await errorOf(strict.get("secured"))).message).toMatch(/certificate/);
    const { ca } = authority;
    const limits = { startTimeoutMs: 0, timeoutMs: 1_000 };
    await using bare = etcdRegistry({ endpoints: server.url, tls: { ca }, ...limits });
    expect(await errorOf(bare.get("secured"))).toMatchObject({ code: "unavailable" });
  });
});

test.each<[Parameters<typeof etcdRegistry>[0], RegExp]>([
  [{ endpoints: "ftp://host" }, /"ftp:\/\/host" is not an endpoint of etcd; use http:/],
  [{ endpoints: "http://ada:s3cret@host" }, /"…@host" is not an endpoint/],
  [{ endpoints: [] }, /endpoints must be addresses/],
  [{ endpoints: "http://host", tls: true }, /says http, and the option tls is given; use https/],
  [{ user: "ada" }, /takes user and password together/],
  [{ prefix: "/micro/" }, /prefix must be visible ASCII without a "\/"/],
  [{ timeoutMs: 0 }, /timeoutMs/],
])("refuses the options %o", (options, message) => {
  expect(() => etcdRegistry(options)).toThrow(message);
  expect(() => etcdRegistry(options)).not.toThrow(/s3cret/);
});

test("refuses invalid options of a link", () => {
  expect(() => new EtcdLink({ endpoints: "" })).toThrow(/endpoints/);
});
