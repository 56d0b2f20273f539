import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownFleet, type Program, startProgram } from "../../test/support/process.ts";
import { type MicroOptions, microInTerminal, micro as run, startMicro } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const fleet = ownFleet();
const env: Record<string, string> = {
  ...fleet,
  HOME: scratch,
  XDG_CONFIG_HOME: join(scratch, "config"),
};
const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
let server: Program;
let address = "";

beforeAll(async () => {
  server = startProgram(new URL("support/described-echo.ts", import.meta.url), {
    ...env,
    ECHO_SERVER: "red",
  });
  [address = ""] = (await server.told("ready")) as string[];
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const lines = (text: string) => text.trim().split("\n");
const json = (text: string) => lines(text).map((line) => JSON.parse(line) as unknown);

describe("micro services", () => {
  test("lists running services, as a table and as JSON", async () => {
    const { stdout } = await micro(["services"]);
    expect(lines(stdout)[0]).toMatch(/^SERVICE +VERSION +ADDRESS +PROTOCOL +ENDPOINTS +NODE$/);
    expect(stdout).toMatch(new RegExp(`^echo +latest +${address} +native +\\d+ +echo-`, "m"));
    expect(json((await micro(["--json", "services"])).stdout)).toMatchObject([
      { name: "echo", nodes: [{ address, endpoints: expect.any(Array) }] },
    ]);
  });

  test("says where to look if nothing runs", async () => {
    const empty = { ...env, MICRO_MDNS_PORT: String(Number(fleet.MICRO_MDNS_PORT) + 20_000) };
    const { stdout, stderr, code } = await micro(["services"], { env: empty });
    expect([stdout, code]).toEqual(["", 0]);
    expect(stderr).toMatch(/no service found; .*MICRO_MDNS_PORT/);
  });
});

describe("micro registry watch", () => {
  test("reports nodes that join and leave, and exits with 0 on Ctrl-C", async () => {
    const watching = startMicro(["registry", "watch", "echo", "--json"], { env });
    let seen = "";
    watching.stdout?.setEncoding("utf8").on("data", (text: string) => {
      seen += text;
    });
    await expect.poll(() => seen).toMatch(/"snapshot"/);
    const other = startProgram(new URL("support/described-echo.ts", import.meta.url), env);
    const [joined = ""] = (await other.told("ready")) as string[];
    await expect.poll(() => seen).toContain('"added"');
    other.kill("SIGTERM");
    await other.ended;
    await expect.poll(() => seen).toContain('"removed"');
    const ended = new Promise((resolve) => watching.once("close", resolve));
    watching.kill("SIGINT");
    expect(await ended).toBe(130);
    const node = (at: string) => ({ type: expect.any(String), node: { address: at } });
    expect(json(seen)).toMatchObject([
      { type: "snapshot", nodes: [{ address }] },
      { ...node(joined), type: "added" },
      { ...node(joined), type: "removed" },
    ]);
  });
});

describe("micro describe", () => {
  test("shows a service with its requests and responses, as in a .proto", async () => {
    const { stdout } = await micro(["describe", "echo"]);
    expect(stdout).toContain(
      "rpc Echo(EchoRequest) returns (EchoResponse) { option idempotency_level = NO_SIDE_EFFECTS; }",
    );
    expect(stdout).toContain("rpc Chat(stream EchoRequest) returns (stream EchoResponse);");
    expect(stdout).toMatch(/message EchoRequest \{\n {2}string text = 1;\n {2}bytes payload = 2;/);
    expect(stdout).not.toContain("grpc.health");
  });

  test("shows one message, and suggests the nearest for an unknown one", async () => {
    expect((await micro(["describe", address, "Echoed"])).stdout).toContain("message Echoed {");
    const { stderr, code } = await micro(["describe", "echo", "EchoReqest"]);
    expect(stderr).toContain("micro.test.v1.EchoRequest");
    expect(code).toBe(2);
  });
});

describe("micro call", () => {
  test("calls by name, by address, and by native address", async () => {
    const request = `{"text":"hi"}`;
    for (const words of [
      ["echo", "EchoService/Echo"],
      ["echo", "micro.test.v1.EchoService/Echo"],
      [address, "Echo"],
      [`http://${address}`, "EchoService.Echo"],
      [address, "Echo", "--protocol", "native"],
      [address, "Echo", "--protocol", "connect"],
      [address, "Echo", "--proto", "test/proto/micro/test/v1/echo.proto"],
    ]) {
      const ended = await micro(["call", ...words.slice(0, 2), request, ...words.slice(2)]);
      expect(ended, words.join(" ")).toMatchObject({ code: 0, stderr: "" });
      expect(json(ended.stdout)).toEqual([{ text: "hi", server: "red" }]);
    }
  });

  test("streams JSON lines both ways", async () => {
    const repeated = await micro(["call", "echo", "Repeat", `{"text":"x","count":2}`]);
    expect(json(repeated.stdout)).toEqual([
      { text: "x", server: "red" },
      { text: "x", index: 1, server: "red" },
    ]);
    const stdin = `{"text":"a"}\n\n{"text":"b"}\n`;
    const collected = await micro(["call", "echo", "Collect"], { stdin });
    expect(json(collected.stdout)).toMatchObject([{ text: "a b", index: 2 }]);
    const chatted = await micro(["call", address, "Chat"], { stdin });
    expect(json(chatted.stdout)).toMatchObject([{ text: "a" }, { text: "b", index: 1 }]);
  });

  test("shows a conversation line by line, while it is open", async () => {
    const talking = startMicro(["call", "echo", "Chat"], { env });
    let said = "";
    talking.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const ended = new Promise((resolve) => talking.once("close", resolve));
    talking.stdin?.write(`{"text":"first"}\n`);
    await expect.poll(() => said).toContain("first");
    talking.stdin?.end(`{"text":"second"}\n`);
    expect(await ended).toBe(0);
    expect(said).toContain("second");
  });

  test("reads a request from a file and from standard input", async () => {
    const file = join(scratch, "request.json");
    writeFileSync(file, `{\n  "text": "from a file"\n}`);
    expect((await micro(["call", "echo", "Echo", `@${file}`])).stdout).toContain("from a file");
    const piped = await micro(["call", "echo", "Echo"], { stdin: `{ "text": "piped" }` });
    expect(piped.stdout).toContain("piped");
  });

  test("sends metadata and shows the response's", async () => {
    const words = ["call", "echo", "Echo", "{}", "-H", "x-tag: one", "--include"];
    expect((await micro(words)).stderr).toContain("< x-tag: one");
  });

  test("calls one specific node, and lists the known ones", async () => {
    const { stderr, code } = await micro(["call", "echo", "Echo", "{}", "--node", "echo-x"]);
    expect(stderr).toMatch(/echo has no node echo-x; it has: echo-[0-9a-f-]+/);
    expect(code).toBe(2);
    expect((await micro(["call", "echo", "Echo", "{}", "--node", address])).code).toBe(0);
  });

  test("prints a request to fill in, which can be sent unchanged", async () => {
    const { stdout } = await micro(["call", "echo", "Echo", "--example"]);
    expect(JSON.parse(stdout)).toEqual({ text: "", payload: "", count: 0, delayMs: 0, fail: "" });
    expect((await micro(["call", "echo", "Echo", "-"], { stdin: stdout })).code).toBe(0);
  });

  test("exits with 64 plus the error code", async () => {
    const failed = await micro(["call", "echo", "Echo", `{"text":"secret"}`]);
    expect(failed).toMatchObject({ code: 64 + 7, stdout: "" });
    expect(failed.stderr).toBe("error: permission_denied: not for you\n");
    const late = await micro(["call", "echo", "Echo", `{"delayMs":60000}`, "--timeout", "200ms"]);
    expect(late.code).toBe(64 + 4);
    const silent = await micro(["call", "127.0.0.1:9", "Echo", "{}", "--json"]);
    expect(silent.code).toBe(64 + 14);
    expect(JSON.parse(silent.stderr)).toMatchObject({ error: { code: "unavailable" } });
  });

  test("names a wrong field by its path, and the nearest valid one", async () => {
    const wrong = async (text: string) => (await micro(["call", "echo", "Echo", text])).stderr;
    expect(await wrong(`{"text":5}`)).toMatch(
      /not a valid micro.test.v1.EchoRequest at text: expected string/,
    );
    expect(await wrong(`{"txt":"a"}`)).toMatch(/at txt: .*did you mean text\?/);
    expect(await wrong(`{"text":`)).toMatch(/the request is not valid JSON/);
    const line = await micro(["call", "echo", "Collect"], {
      stdin: `{"text":"a"}\n{"count":"x"}\n`,
    });
    expect(line.stderr).toMatch(/line 2 is not a valid micro.test.v1.EchoRequest at count/);
    expect(line.code).toBe(2);
  });

  test("suggests the nearest services and methods for unknown ones", async () => {
    const service = await micro(["call", "ehco", "Echo", "{}"]);
    expect(service.stderr).toMatch(/no service named ehco runs; there are: echo/);
    const method = await micro(["call", "echo", "Ecoh", "{}"]);
    expect(method.stderr).toMatch(/no method Ecoh; there are: micro.test.v1.EchoService\/Echo/);
    expect([service.code, method.code]).toEqual([2, 2]);
  });

  test("formats a response over several lines in a terminal", async () => {
    const { stdout, code } = await microInTerminal(["call", "echo", "Echo", `{"text":"hi"}`], {
      env,
    });
    expect(stdout.replaceAll("\r", "")).toContain(`{\n  "text": "hi",\n  "server": "red"\n}`);
    expect(code).toBe(0);
  });
});

describe("micro health", () => {
  test("reports each node, and exits with 1 if one does not serve", async () => {
    expect(await micro(["health", "echo"])).toMatchObject({ code: 0 });
    expect((await micro(["health", address])).stdout).toMatch(/^serving/);
    const told = server.told("done");
    server.send("sick");
    await told;
    const sick = await micro(["health", "echo", "--json"]);
    expect(sick.code).toBe(1);
    expect(json(sick.stdout)).toMatchObject([{ address, status: "not_serving" }]);
  });
});
