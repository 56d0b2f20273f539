import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "@micro-es/runtime/gen/grpc/health/v1/health_pb.js";
import { DebugService } from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EchoService } from "../../test/gen/micro/test/v1/echo_pb.ts";
import { ownFleet } from "../../test/support/process.ts";
import { Output, type OutputStream } from "../src/output.ts";
import { colouredLine, joined, jsonText, styled, text } from "../src/text.ts";
import { micro, microInTerminal } from "./support/micro.ts";

// Text of a hostile server, event or record must not control the terminal of the user.

const hostile =
  "\u001b]52;c;ZXZpbA==\u0007\u001b[2J\r\u009b31mowned\u007f\u202egnp.exe\u2066x\u2069\u2028y";
/** What no line of output may have; colours and the end of a line are our own. */
const raw = /(?!\n)[\p{Cc}\u2028-\u202e\u2066-\u2069]/u;
const visible = "\\u001b]52;c;ZXZpbA==\\u0007\\u001b[2J\\r\\u009b31mowned\\u007f\\u202egnp.exe";

const scratch = mkdtempSync(join(tmpdir(), "micro-hostile-"));
const env: Record<string, string> = {
  ...ownFleet(),
  HOME: scratch,
  XDG_CONFIG_HOME: scratch,
  MICRO_STORE: `file:${join(scratch, "store")}`,
};
const server = createServer(
  connectNodeAdapter({
    routes: (router) => {
      router.service(DebugService, {
        stats: () => ({
          process: { service: hostile, version: hostile, nodeId: hostile, nodeVersion: hostile },
          methods: [{ method: `x.Y/${hostile}`, calls: 1n, errors: { [hostile]: 1n } }],
          subscriptions: [{ topic: hostile, queue: hostile }],
        }),
        async *logs() {
          yield { sequence: 1n, message: hostile, fields: { [hostile]: hostile }, level: 2 };
        },
      });
      router.service(EchoService, {
        echo({ text }) {
          if (text === "fail") throw new ConnectError(`${hostile}\nerror: forged`, Code.NotFound);
          return { text: hostile };
        },
      });
      router.service(Health, {
        check() {
          throw new ConnectError(hostile, Code.Internal);
        },
      });
    },
  }),
);
let address = "";

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(scratch, { recursive: true, force: true });
});

const proto = ["--proto", join(import.meta.dirname, "../../test/proto/micro/test/v1/echo.proto")];
const all = ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr;

describe("foreign text is escaped by", () => {
  test.each([
    ["stats", []],
    ["logs", []],
    ["health", []],
    ["call", ["Echo", "{}", ...proto]],
    ["call", ["Echo", '{"text":"fail"}', ...proto]],
  ])("micro %s", async (command, words) => {
    for (const json of [[], ["--json"]]) {
      const shown = all(await micro([command, address, ...words, ...json], { env }));
      expect(shown).toContain("owned");
      expect(shown).not.toMatch(raw);
    }
  });

  test("micro call in a terminal, where a value stays the same JSON", async () => {
    const { stdout } = await microInTerminal(["call", address, "Echo", "{}", ...proto], { env });
    // Before it, Node may warn on the same terminal of the variables that the tests set.
    const shown = stdout.slice(stdout.indexOf("{")).replaceAll("\r\n", "\n");
    expect(JSON.parse(shown)).toEqual({ text: hostile });
    expect(shown).not.toMatch(raw);
  });

  test("errors, whose lines cannot imitate micro's", async () => {
    const call = ["call", address, "Echo", '{"text":"fail"}', ...proto];
    const { stderr, code } = await micro(call, { env });
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(/^error: not_found: .*owned/),
      "  error: forged",
      "",
    ]);
    expect(code).toBe(64 + 5);
  });

  test("words of the command line that are echoed", async () => {
    for (const words of [[hostile], ["services", "--context", hostile], ["check", hostile]]) {
      expect(all(await micro(words, { env }))).not.toMatch(raw);
    }
  });
});

test("a value of the store is exact for programs and escaped for people", async () => {
  await micro(["store", "set", "key", hostile], { env });
  expect((await micro(["store", "get", "key"], { env })).stdout).toBe(`${hostile}\n`);
  const shown = (await microInTerminal(["store", "get", "key"], { env })).stdout;
  expect(shown).toContain(visible);
  expect(shown.replaceAll("\r\n", "\n")).not.toMatch(raw);
});

describe("Output", () => {
  function outputTo(written: string[], options: { json?: boolean; terminal?: boolean } = {}) {
    const { json = false, terminal = true } = options;
    const stream: OutputStream = { isTTY: terminal, write: (it) => written.push(it) };
    return new Output({ stdout: stream, stderr: stream, json, environment: { TERM: "xterm" } });
  }

  test.each<[string, (output: Output) => void]>([
    ["result", (output) => output.result({}, () => hostile)],
    ["result of several parts", (output) => output.result({}, () => text`a ${hostile}`)],
    ["result of lines", (output) => output.result({}, () => joined([hostile, hostile]))],
    ["template without the tag", (output) => output.line(`${text`${hostile}`} ${hostile}`)],
    ["page", (output) => output.page(hostile, false)],
    ["line", (output) => output.line(styled("bold", hostile))],
    ["note", (output) => output.note(hostile)],
    ["data", (output) => output.data({}, hostile)],
    ["table", (output) => output.line(output.table([hostile], [[hostile], [hostile]]))],
    ["JSON", (output) => output.line(jsonText({ [hostile]: hostile }, true))],
    ["failure", (output) => output.failure({ message: hostile, exitCode: 1 })],
  ])("escapes a %s and keeps its own styles", (_, write) => {
    const written: string[] = [];
    write(outputTo(written));
    expect(written.join("")).toContain(visible);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the styles of Output
    expect(written.join("").replaceAll(/\u001b\[\d+m/g, "")).not.toMatch(raw);
  });

  test("escapes C1 and bidirectional controls with --json, and the value stays the same", () => {
    const written: string[] = [];
    outputTo(written, { json: true }).result({ [hostile]: hostile }, () => "");
    expect(written.join("")).not.toMatch(raw);
    expect(JSON.parse(written.join(""))).toEqual({ [hostile]: hostile });
  });

  test("plain text is one line", () => {
    const written: string[] = [];
    outputTo(written).line("orders\n✓ all well");
    expect(written).toEqual(["orders\\n✓ all well\n"]);
  });

  test("applies marked styles, and only colours of another program's lines", () => {
    const written: string[] = [];
    const output = outputTo(written);
    output.line(text`a ${styled("red", "b")} c`);
    output.line(colouredLine("\u001b[32mgreen\u001b[2J\u0008\tx"));
    outputTo(written, { terminal: false }).line(colouredLine("\u001b[32mgreen\u001b[2J"));
    expect(written).toEqual([
      "a \u001b[31mb\u001b[0m c\n",
      "\u001b[32mgreen\\u0008\tx\u001b[0m\n",
      "green\n",
    ]);
  });
});
