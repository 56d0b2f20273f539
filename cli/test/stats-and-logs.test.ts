import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, memoryRegistry } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEchoServiceClient } from "../../test/gen/micro/test/v1/echo_micro.ts";
import { testInCi } from "../../test/support/long.ts";
import { ownFleet, type Program, startProgram } from "../../test/support/process.ts";
import { type MicroOptions, microInTerminal, micro as run, startMicro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const echoProgram = new URL("support/described-echo.ts", import.meta.url);
const servers: Program[] = [];
const addresses: string[] = [];

async function startServer(): Promise<string> {
  const server = startProgram(echoProgram, env);
  servers.push(server);
  const [address = ""] = (await server.told("ready")) as string[];
  return address;
}

const client = createClient({ registry: memoryRegistry() });
const say = (address: string, text: string) =>
  createEchoServiceClient(client).echo({ text }, { address });

beforeAll(async () => {
  addresses.push(...(await Promise.all([startServer(), startServer()])));
  const [one = "", two = ""] = addresses;
  await say(one, "log Ada");
  await expect(say(one, "secret")).rejects.toThrow();
  await say(two, "hi");
  await say(two, "log Bob");
});

afterAll(async () => {
  await client.close();
  for (const server of servers) await server[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** Starts a command that keeps running, and returns its output so far. */
function start(...words: readonly string[]) {
  const child = startMicro(words, { env });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      said[stream] += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { said, ended, interrupt: () => child.kill("SIGINT") };
}

describe("a debug service with a token", () => {
  testInCi("serves micro only with the same MICRO_DEBUG_TOKEN", async () => {
    const token = { MICRO_DEBUG_TOKEN: "one-of-32-random-characters" };
    const own = { ...env, MICRO_MDNS_PORT: String(Number(env.MICRO_MDNS_PORT) + 20_000) };
    const server = startProgram(echoProgram, { ...own, ...token, MICRO_ADDRESS: "0.0.0.0:0" });
    servers.push(server);
    const [listening = ""] = (await server.told("ready")) as string[];
    const address = `127.0.0.1:${listening.split(":").at(-1)}`;
    for (const words of [
      ["stats", "echo"],
      ["stats", address],
      ["logs", "echo"],
      ["logs", address],
    ]) {
      const right = await run(words, { env: { ...own, ...token } });
      expect(right).toMatchObject({ code: 0 });
      expect(right.stdout).not.toBe("");
      const without = await run(words, { env: own });
      expect(without.stderr).toMatch(/^error: unauthenticated: .*set MICRO_DEBUG_TOKEN/);
      expect(without.code).toBe(64 + 16);
      const wrong = await run(words, { env: { ...own, MICRO_DEBUG_TOKEN: "wrong" } });
      expect(wrong.code).toBe(64 + 16);
    }
  });
});

describe("micro stats", () => {
  test("lists every process and method, once each, with errors by code", async () => {
    const { stdout, code } = await micro(["stats"]);
    expect(code).toBe(0);
    const [one = "", two = ""] = addresses;
    expect(stdout).toMatch(
      /^SERVICE +VERSION +ADDRESS +UP +CPU +MEMORY +LOOP P99 +NODE\.JS +NODE$/m,
    );
    for (const address of addresses) {
      expect(stdout).toMatch(
        new RegExp(
          `^echo +latest +${address} +\\d+s +[\\d.]+ % +\\d+ MiB +[\\d.]+ ms +v\\d\\S+ +echo-`,
          "m",
        ),
      );
    }
    expect(stdout).toMatch(/^ADDRESS +METHOD +CALLS +ERRORS +IN FLIGHT +P50 +P99$/m);
    const echo = String.raw`+micro\.test\.v1\.EchoService/Echo +2 `;
    expect(stdout).toMatch(
      new RegExp(`^${one} ${echo}+1 \\(permission_denied 1\\) +0 +[\\d.]+ ms`, "m"),
    );
    expect(stdout).toMatch(new RegExp(`^${two} ${echo}+0 +0 +[\\d.]+ ms +[\\d.]+ ms$`, "m"));
    expect(stdout).toMatch(/EchoService\/Chat +0 +0 +0 +- +-$/m);
    expect(stdout).not.toContain("DebugService");
    expect(stdout).toMatch(/^ADDRESS +TOPIC +QUEUE +DELIVERED +FAILED .* PENDING$/m);
    expect(stdout).toMatch(new RegExp(`^${one} +echo\\.echoed +`, "m"));
  });

  test("shows one node as JSON, by service, node and address", async () => {
    const [one = ""] = addresses;
    const [told, ...others] = json(
      (await micro(["stats", "echo", "--node", one, "--json"])).stdout,
    );
    expect(others).toEqual([]);
    expect(told).toMatchObject({
      service: "echo",
      address: one,
      process: { pid: expect.any(Number), started: expect.stringMatching(/^20.*Z$/) },
      methods: expect.arrayContaining([
        expect.objectContaining({
          method: "micro.test.v1.EchoService/Echo",
          calls: 2,
          errors: { permission_denied: 1 },
          inFlight: 0,
        }),
      ]),
    });
    const all = await micro(["stats", one, "--all"]);
    expect(all.stdout).toMatch(/micro\.debug\.v1\.DebugService\/Stats/);
  });

  test("refreshes on a terminal, with calls per second", async () => {
    const [one = ""] = addresses;
    const { stdout, code } = await microInTerminal(
      ["stats", one, "--watch", "--interval", "100ms"],
      { env, interruptAt: /CALLS\/S/ },
    );
    expect(code).toBe(130);
    expect(stdout).toContain("\u001b[H\u001b[2J");
    expect(stdout).toMatch(/EchoService\/Echo +\d+ +\d+\.\d /);
  });

  test("suggests the nearest name for an unknown service, and says how services expose statistics", async () => {
    const unknown = await micro(["stats", "ecko"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toMatch(/no service named ecko runs; there are: echo/);
    // Of gRPC, and without any method.
    const other = createServer((_request, response) => {
      response.writeHead(200, {
        "content-type": "application/grpc",
        "grpc-status": "12",
        "grpc-message": "none",
      });
      response.end();
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const silent = await micro(["stats", `127.0.0.1:${port}`]);
    other.close();
    expect(silent.code).toBe(64 + 12);
    expect(silent.stderr).toMatch(/exposes no debug service; .*debugService\(\)/);
  });
});

describe("micro logs", () => {
  test("shows the lines of all processes by time, each with its origin", async () => {
    const { stdout, code } = await micro(["logs", "echo"]);
    expect(code).toBe(0);
    const [one, two] = addresses;
    const [first = "", second = "", ...others] = stdout.trim().split("\n");
    expect(others).toEqual([]);
    const line = String.raw`\d\d:\d\d:\d\d\.\d{3} warn  told to log\\nthis who=`;
    expect(first).toMatch(new RegExp(`^${one} +\\| ${line}Ada$`));
    expect(second).toMatch(new RegExp(`^${two} +\\| ${line}Bob$`));
    const terminal = await microInTerminal(["logs", "echo", "--level", "warn"], { env });
    expect(terminal.stdout).toContain("\u001b[33mwarn \u001b[0m told to log");
  });

  test("filters lines by level, number and age", async () => {
    const [one = ""] = addresses;
    const told = json((await micro(["logs", one, "--json"])).stdout);
    expect(told).toMatchObject([
      { address: one, level: "warn", message: "told to log\nthis", fields: { who: "Ada" } },
    ]);
    for (const words of [
      ["--level", "error"],
      ["--tail", "0"],
      ["--since", "1ms"],
    ]) {
      const none = await micro(["logs", one, ...words]);
      expect(none, words.join(" ")).toMatchObject({ code: 0, stdout: "" });
    }
  });

  test("follows existing and new processes, until Ctrl-C", async () => {
    const [one = ""] = addresses;
    const following = start("logs", "echo", "-f", "--tail", "1");
    await expect.poll(() => following.said.stdout).toMatch(/who=Ada\n[\s\S]*who=Bob\n/);
    await say(one, "log again");
    await expect.poll(() => following.said.stdout).toContain("who=again\n");
    const third = await startServer();
    await expect
      .poll(async () => {
        await say(third, "log third");
        return following.said.stdout;
      })
      .toMatch(new RegExp(`^${third} +\\| .* who=third$`, "m"));
    expect(following.said.stdout.match(/who=again/g)).toHaveLength(1);
    following.interrupt();
    expect(await following.ended).toBe(130);
  });

  test("reports what is wrong", async () => {
    const level = await micro(["logs", "echo", "--level", "warm"]);
    expect([level.code, level.stderr]).toEqual([
      2,
      expect.stringMatching(/no level warm; did you mean warn/),
    ]);
    expect((await micro(["logs", "echo", "--tail", "x"])).code).toBe(2);
    const gone = await micro(["logs", "127.0.0.1:1"]);
    expect(gone.code).toBe(64 + 14);
  });
});
