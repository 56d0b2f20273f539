import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { natsParts } from "@micro-es/nats";
import { type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "../../drivers/nats/test/server.ts";
import { EchoedSchema } from "../../test/gen/micro/test/v1/echo_pb.ts";
import { testInCi } from "../../test/support/long.ts";
import { ownFleet } from "../../test/support/process.ts";
import { type MicroOptions, microInTerminal, micro as run } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const proto = ["--proto", "test/proto/micro/test/v1/echo.proto"];
const json = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(skipWithoutNats)("micro dlq", () => {
  let server: NatsServer;
  let parts: ReturnType<typeof natsParts>;
  const seen: IncomingEvent[] = [];
  let failing = true;
  const micro = (words: readonly string[], options: MicroOptions = {}) =>
    run(["dlq", ...words], { ...options, env: { ...env, MICRO_BACKEND: server.url } });
  const inTerminal = (...words: readonly string[]) =>
    microInTerminal(["dlq", ...words], { env: { ...env, MICRO_BACKEND: server.url } });
  const cursors = async () => {
    const found: string[] = [];
    for await (const { cursor } of parts.broker.deadLetters?.list("echo.dead") ?? []) {
      found.push(cursor);
    }
    return found;
  };

  beforeAll(async () => {
    server = await startNats();
    parts = natsParts({ servers: server.url, logger: silentLogger });
    await parts.broker.subscribe(
      "echo.echoed",
      (event) => {
        if (failing) throw new Error("out of ink");
        seen.push(event);
      },
      { queue: "printers", maxDeliveries: 1, deadLetter: "echo.dead" },
    );
    for (const [index, text] of ["Ada", "Bob", "Cy"].entries()) {
      const event = create(EchoedSchema, { text, number: index });
      await parts.broker.publish("echo.echoed", {
        body: toBinary(EchoedSchema, event),
        contentType: "application/protobuf",
        typeName: EchoedSchema.typeName,
        key: text,
        id: `id-${index}`,
        metadata: { tenant: "acme" },
      });
    }
    await vi.waitFor(async () => expect(await cursors()).toHaveLength(3), { timeout: 60_000 });
  });
  afterAll(async () => {
    for (const part of parts?.owned ?? []) await part.close();
    await server?.close();
  });

  test("lists topics, and the dead letters of one, page by page", async () => {
    expect((await micro(["ls"])).stdout).toMatch(/^TOPIC +EVENTS\necho\.dead +3\n$/);
    const terminal = await inTerminal("ls");
    expect(terminal.stdout).toContain("\u001b[2mTOPIC");
    expect(terminal.stdout).toMatch(/\r\necho\.dead +3\r\n$/);
    const { stdout } = await micro(["ls", "echo.dead"]);
    expect(stdout).toMatch(/^CURSOR +TIME +TOPIC +TYPE +KEY +ATTEMPTS +REASON$/m);
    expect(stdout).toMatch(
      /^\d+ +20\S+Z +echo\.echoed +micro\.test\.v1\.Echoed +Ada +1 +Error: out of ink$/m,
    );
    const [first = "", second] = await cursors();
    const page = await micro(["ls", "echo.dead", "--limit", "1", "--after", first]);
    expect(page.stdout).toMatch(new RegExp(`\n${second} .*\n$`));
    expect(page.stderr).toBe(`there may be more: --after ${second}\n`);
  });

  test("shows one by its schema, or as bytes without one", async () => {
    const [first = ""] = await cursors();
    const shown = await micro(["show", "echo.dead", first, "--json", ...proto]);
    const [ada] = json(shown.stdout);
    expect(ada).toMatchObject({
      topic: "echo.echoed",
      reason: "Error: out of ink",
      metadata: { tenant: "acme" },
      message: { text: expect.stringMatching(/Ada|Bob|Cy/) },
    });
    const terminal = await inTerminal("show", "echo.dead", first, "--raw");
    expect(terminal.stdout).toContain("\u001b[2mreason:\u001b[0m Error: out of ink\r\n");
    expect(terminal.stdout).toMatch(/ acme\r\n\r\n[\w+/]+=*\r\n$/);
  });

  testInCi("reports what does not exist", async () => {
    const topic = await micro(["ls", "echo.daed"]);
    expect([topic.code, topic.stdout]).toEqual([0, ""]);
    expect(topic.stderr).toMatch(/no dead letters on echo\.daed; there are some on: echo\.dead/);
    const all = await micro(["replay", "echo.daed", "--all"]);
    expect(all.code).toBe(64 + 5);
    for (const word of ["show", "replay", "drop"]) {
      const unknown = await micro([word, "echo.dead", "9999"]);
      expect(unknown, word).toMatchObject({ code: 64 + 5 });
      expect(unknown.stderr).toMatch(/there is no dead letter 9999 on echo\.dead/);
    }
    expect((await micro(["drop", "echo.dead", "x"])).code).toBe(64 + 3);
    const neither = await micro(["drop", "echo.dead"]);
    expect([neither.code, neither.stderr]).toEqual([2, expect.stringContaining("--all")]);
    const broker = await run(["dlq", "ls"], { env });
    expect(broker.code).toBe(2);
    expect(broker.stderr).toMatch(/the http broker does not store dead letters: .*MICRO_BACKEND/);
  });

  test("drops one, and replays the others unchanged", async () => {
    const [first = "", second = ""] = await cursors();
    const dropped = await inTerminal("drop", "echo.dead", second);
    expect(dropped).toMatchObject({ code: 0, stdout: `${second} is dropped\r\n` });
    failing = false;
    const replayed = await inTerminal("replay", "echo.dead", first);
    expect(replayed.stdout).toBe(`${first} is on echo.echoed again\r\n`);
    await expect.poll(() => seen.length).toBe(1);
    expect(seen[0]?.metadata.toObject()).toEqual({ tenant: "acme" });
    expect(seen[0]?.key).toMatch(/Ada|Bob|Cy/);
    const rest = await micro(["replay", "echo.dead", "--all", "--json"]);
    expect(json(rest.stdout)).toMatchObject([{ topic: "echo.echoed" }]);
    await expect.poll(() => seen.length).toBe(2);
    expect(await micro(["ls"])).toMatchObject({
      stdout: "",
      stderr: "there are no dead letters\n",
    });
  });
});
