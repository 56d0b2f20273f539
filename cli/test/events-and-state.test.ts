import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownFleet, type Program, startProgram } from "../../test/support/process.ts";
import { type MicroOptions, micro as run, startMicro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
let server: Program;

beforeAll(async () => {
  server = startProgram(new URL("support/described-echo.ts", import.meta.url), env);
  await server.told("ready");
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** Starts `micro sub`, and resolves when it listens; `seen` is what it has shown so far. */
async function subscribe(...words: readonly string[]) {
  const child = startMicro(["sub", "echo.echoed", ...words], { env });
  let [seen, said] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    seen += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await expect.poll(() => said).toContain("subscribed to echo.echoed over http");
  return { ended, kill: () => child.kill("SIGINT"), shown: () => seen };
}

describe("micro pub and micro sub", () => {
  test("carry an event by the schema of a subscribing service", async () => {
    const subscriber = await subscribe("--count", "2");
    const published = await micro([
      "pub",
      "echo.echoed",
      `{"text":"Ada","number":3}`,
      "-H",
      "x-tag: one",
    ]);
    expect(published).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "published to echo.echoed over http\n",
    });
    await micro(["pub", "echo.echoed", "as it is", "--raw"]);
    expect(await subscriber.ended).toBe(0);
    expect(subscriber.shown()).toMatch(
      /micro\.test\.v1\.Echoed \{"text":"Ada","number":3\}\n.*text\/plain as it is\n/,
    );
  });

  test("end with Ctrl-C, and need no schema for raw bodies", async () => {
    const subscriber = await subscribe("--raw");
    const published = await micro([
      "pub",
      "echo.echoed",
      `{"text":"Ada"}`,
      "--proto",
      "test/proto/micro/test/v1/echo.proto",
    ]);
    expect(published).toMatchObject({ code: 0 });
    await expect.poll(subscriber.shown).toMatch(/micro\.test\.v1\.Echoed /);
    subscriber.kill();
    expect(await subscriber.ended).toBe(130);
  });

  test("report what is wrong", async () => {
    const unknown = await micro(["pub", "echo.ecoed", "{}"]);
    expect(unknown.stderr).toMatch(
      /no running service subscribes to echo.ecoed; set --proto or --service/,
    );
    const topic = await micro(["pub", "echo.ecoed", "{}", "--service", "echo"]);
    expect(topic.stderr).toMatch(/no message for the topic echo.ecoed; it has: echo.echoed/);
    const field = await micro(["pub", "echo.echoed", `{"txt":1}`]);
    expect(field.stderr).toMatch(/at txt: .*did you mean text\?/);
    expect((await micro(["sub", "x", "--from", "then"])).stderr).toMatch(
      /--from takes first, a time/,
    );
    expect([unknown.code, topic.code, field.code]).toEqual([2, 2, 2]);
  });
});

describe("micro store", () => {
  const store = { MICRO_STORE: `file:${join(scratch, "store")}` };
  const run = (...words: readonly string[]) => micro(["store", ...words], { env: store });

  test("writes, reads, lists and deletes records", async () => {
    expect((await run("set", "orders/1", "one")).code).toBe(0);
    await run("set", "orders/2", "two", "--ttl", "10m");
    expect((await run("get", "orders/1")).stdout).toBe("one\n");
    const listed = (await run("ls", "orders/")).stdout.trim().split("\n");
    expect(listed).toHaveLength(3);
    expect(listed[2]).toMatch(/^orders\/2 +\d+ +3 +20\d\d-/);
    const rest = await run("ls", "--after", "orders/1", "--json");
    expect(JSON.parse(rest.stdout)).toMatchObject({ key: "orders/2", text: "two" });
    expect((await run("rm", "orders/1")).code).toBe(0);
    expect(await run("get", "orders/1")).toMatchObject({ code: 64 + 5, stdout: "" });
  });

  test("overwrites only the specified version", async () => {
    const { stdout } = await run("set", "once", "a", "--if-version", "0", "--json");
    const { version } = JSON.parse(stdout);
    expect((await run("set", "once", "b", "--if-version", "0")).code).toBe(64 + 10);
    expect((await run("set", "once", "c", "--if-version", version)).code).toBe(0);
    expect((await run("set", "once", "c", "--if-version", "x")).code).toBe(2);
  });

  test("says why the memory of another process cannot be read", async () => {
    expect((await micro(["store", "ls"])).stderr).toMatch(
      /with MICRO_STORE or MICRO_BACKEND set .* share one\. MICRO_STORE=file:path opens/,
    );
  });
});
