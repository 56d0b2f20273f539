import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PostgresLink, postgres, postgresStore } from "@micro-es/postgres";
import { createService, silentLogger } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, skipWithoutPostgres, startPostgres } from "./server.ts";

const value = new Uint8Array([1]);
const password = "p@ss:wörd/1";

describe.skipIf(skipWithoutPostgres)("a PostgreSQL with users and TLS", () => {
  let authority: TestAuthority;
  let server: PostgresServer;
  beforeAll(async () => {
    authority = new TestAuthority();
    const { cert, key } = authority.issue({ names: ["IP:127.0.0.1"] });
    server = await startPostgres({
      settings: { ssl: "on", ssl_ca_file: "ca.crt" },
      files: { "server.crt": cert, "server.key": key, "ca.crt": authority.ca },
      access: [
        "hostssl all ada 127.0.0.1/32 scram-sha-256",
        "hostssl all named 127.0.0.1/32 cert map=leaf",
        "host all postgres 127.0.0.1/32 trust",
      ],
      maps: ["leaf /^leaf named"],
    });
    await server.run("create role ada login; create role named login");
    await server.run(`alter role ada password '${password}'`);
    await server.run("create database ada owner ada");
  });
  afterAll(async () => {
    await server?.close();
    authority?.[Symbol.dispose]();
  });

  const optionsOf = () => ({
    servers: server.address,
    user: "ada",
    password,
    database: "ada",
    tls: { ca: authority.ca },
  });

  test("takes a password by SCRAM over TLS", async () => {
    await using store = postgresStore(optionsOf());
    await store.write("key", value);
    expect(
      await server.run(
        "select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'ada'",
      ),
    ).toEqual([{ ssl: true }]);
  });

  test("takes all of it from a URL", async () => {
    const folder = mkdtempSync(join(tmpdir(), "micro-postgres-"));
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, authority.ca);
    const user = `ada:${encodeURIComponent(password)}`;
    const url = `postgres://${user}@${server.address}/ada?sslmode=verify-full&sslrootcert=${ca}`;
    await using service = createService({
      name: "orders",
      drivers: [postgres],
      environment: { MICRO_REGISTRY: "memory:", MICRO_BROKER: "memory:", MICRO_STORE: url },
      logger: silentLogger,
    });
    await service.store.write("key", value);
    rmSync(folder, { recursive: true });
  });

  test("fails at once, and says why, without waiting for the start", async () => {
    const failing = async (given: object) => {
      await using link = new PostgresLink({ ...optionsOf(), ...given });
      return await link.open().catch((error) => error);
    };
    const wrong = await failing({ password: "wrong" });
    expect(wrong).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    expect(`${wrong} ${wrong.cause}`).not.toContain(password);
    expect(await failing({ database: "nowhere" })).toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining('database "nowhere" does not exist'),
    });
    // Without TLS there is no entry for the user.
    const plain = new PostgresLink({ servers: server.address, user: "ada", password });
    expect(await plain.open().catch((error) => error)).toMatchObject({ code: "unauthenticated" });
    await plain.close();
  });

  test("verifies the certificate and the name of the server", async () => {
    using other = new TestAuthority();
    for (const given of [{ tls: { ca: other.ca } }, { servers: `localhost:${server.port}` }]) {
      await using link = new PostgresLink({ ...optionsOf(), ...given, startTimeoutMs: 0 });
      await expect(link.open()).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/certificate|altnames/i),
      });
    }
  });

  test("takes a certificate instead of a password", async () => {
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    const tls = { ca: authority.ca, cert, key };
    await using link = new PostgresLink({
      servers: server.address,
      user: "named",
      database: "postgres",
      tls,
    });
    const [row] = await link.query("select current_user as name", [], "ask for the user");
    expect(row).toEqual({ name: "named" });
  });
});
