import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSync } from "@micro-es/runtime";
import { afterAll, describe, expect, test } from "vitest";
import { ownFleet } from "../../test/support/process.ts";
import { type MicroOptions, microInTerminal, micro as run } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("micro lock ls and micro leader ls", () => {
  const path = join(scratch, "sync");
  const sync = { MICRO_SYNC: `file:${path}` };

  test("list locks with holder, start and expiry", async () => {
    await using locks = fileSync({ path });
    const lock = await locks.lock("invoices/7", { holder: "billing-1", ttlMs: 60_000 });
    await locks.lock("other", { holder: "billing-2", ttlMs: 60_000 });
    const leader = await locks.lead("cron", { candidate: "node-a", ttlMs: 60_000 });
    const { stdout, stderr, code } = await micro(["lock", "ls", "invoices/"], { env: sync });
    expect([code, stderr]).toEqual([0, ""]);
    const terminal = await microInTerminal(["lock", "ls"], { env: { ...env, ...sync } });
    expect(terminal.stdout).toContain("\u001b[2mLOCK");
    expect(stdout).toMatch(/^LOCK +HOLDER +TOKEN +SINCE +ENDS\ninvoices\/7 +billing-1 +\d+ +20/);
    expect(stdout).toMatch(/Z +in \d+\.\d s\n$/);
    const listed = await micro(["lock", "ls", "--json"], { env: sync });
    expect(json(listed.stdout)).toMatchObject([
      { id: "invoices/7", holder: "billing-1", token: String(lock.token) },
      { id: "other", holder: "billing-2" },
    ]);
    const leaders = await microInTerminal(["leader", "ls"], { env: { ...env, ...sync } });
    expect(leaders.code).toBe(0);
    expect(leaders.stdout).toMatch(/GROUP +LEADER +EPOCH +SINCE +ENDS/);
    expect(leaders.stdout).toContain("\u001b[2mGROUP");
    expect(leaders.stdout).toMatch(new RegExp(`cron +node-a +${leader.epoch} `));
  });

  test("report that nothing is held, and why another process's memory cannot be read", async () => {
    const none = await micro(["lock", "ls"], { env: { MICRO_SYNC: `file:${path}-empty` } });
    expect(none).toMatchObject({ code: 0, stdout: "", stderr: "no locks in file\n" });
    const memory = await micro(["leader", "ls"]);
    expect(memory.code).toBe(2);
    expect(memory.stderr).toMatch(/MICRO_SYNC=file:path or MICRO_BACKEND=url/);
  });
});

describe("micro config", () => {
  const file = join(scratch, "config.yaml");
  writeFileSync(
    file,
    "port: 8080\ndatabase: { host: db, password: hunter2, url: 'pg://me:hunter2@db/x' }\n",
  );
  const shop = ["--from", `file:${file}`, "--from", "env:SHOP_"];
  const shell = { SHOP_DATABASE__HOST: "db2", MICRO_REGISTRY: "memory" };

  test("dumps each value with its source, and hides secrets", async () => {
    await micro(["context", "set", "staging", "MICRO_TTL=20s", "MICRO_REGISTRY=mdns", "--use"]);
    const { stdout, code } = await micro(["config", "dump", "--sources", ...shop], { env: shell });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^KEY +VALUE +SOURCE$/m);
    expect(stdout).toMatch(/^database\.host +db2 +env$/m);
    expect(stdout).toMatch(new RegExp(`^port +8080 +file:${file}$`, "m"));
    expect(stdout).toMatch(/^database\.password +\[secret\] /m);
    expect(stdout).toMatch(/^database\.url +pg:\/\/…@db\/x /m);
    expect(stdout).toMatch(/^MICRO_REGISTRY +memory +environment$/m);
    expect(stdout).toMatch(/^MICRO_TTL +20s +context staging$/m);
    expect(stdout).toMatch(/^MICRO_TRANSPORT +tcp: +default$/m);
    expect(stdout).not.toContain("hunter2");
    const terminal = await microInTerminal(["config", "dump", "MICRO_TTL", "--sources"], { env });
    expect(terminal.stdout).toContain("\u001b[2mKEY");
    expect(terminal.stdout).toMatch(/\r\nMICRO_TTL +20s +context staging\r\n$/);
    const named = await micro(["config", "get", "MICRO_REGISTRY", "--context", "staging"], {
      env: shell,
    });
    expect(named.stdout).toBe("mdns\n");
    await micro(["context", "rm", "staging"]);
  });

  test("gets a value, a table, and an explicitly requested secret", async () => {
    const get = (...words: readonly string[]) =>
      micro(["config", "get", ...words], {
        env: { ...shell, MICRO_CONFIG: `file:${file}, env:SHOP_` },
      });
    expect((await get("database.host")).stdout).toBe("db2\n");
    const terminal = await microInTerminal(["config", "get", "port", ...shop], { env });
    expect(terminal.stdout).toBe("8080\r\n");
    expect(JSON.parse((await get("database")).stdout)).toMatchObject({
      host: "db2",
      password: "[secret]",
    });
    expect((await get("database.password", "--reveal")).stdout).toBe("hunter2\n");
    const port = await get("port", "--json");
    expect(json(port.stdout)).toEqual([{ key: "port", value: 8080, source: `file:${file}` }]);
  });

  test("explains what is possible with a store in memory", async () => {
    const { stderr, code } = await micro(["store", "ls"], { env: { MICRO_BACKEND: "" } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/its own memory.*with MICRO_STORE or MICRO_BACKEND set .* share one\./);
    expect(stderr).toMatch(/MICRO_STORE=file:path .* only while no service has it open/);
  });

  test("suggests the nearest keys and sources for unknown ones", async () => {
    const key = await micro(["config", "get", "databse", ...shop]);
    expect(key.code).toBe(64 + 5);
    expect(key.stderr).toMatch(/no value at databse; there are: database,/);
    const source = await micro(["config", "dump", "--from", "fil:x.yaml"]);
    expect(source.code).toBe(2);
    expect(source.stderr).toMatch(
      /^error: --from fil:x\.yaml needs the driver @micro-es\/fil: npm i .*; did you mean file:\?/,
    );
    const missing = await micro(["config", "dump", "--from", "file:no-such.yaml"]);
    expect(missing.code).toBe(64 + 5);
    expect(missing.stderr).toMatch(/no-such\.yaml/);
  });
});
