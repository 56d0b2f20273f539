import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ownFleet } from "../../test/support/process.ts";
import { commands } from "../src/commands.ts";
import {
  type MicroOptions,
  microInTerminal,
  micro as run,
  startMicroInTerminal,
} from "./support/micro.ts";

// Everything that a command can wait for never answers here.

const scratch = mkdtempSync(join(tmpdir(), "micro-progress-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const sockets = new Set<Socket>();
/** Takes connections and says nothing. */
const silent = createServer((socket) => sockets.add(socket));
let address = "";

beforeAll(async () => {
  await once(silent.listen(0, "127.0.0.1"), "listening");
  address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  for (const name of ["node_modules/.bin/buf", "bin/npm"]) {
    const file = join(scratch, name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, "#!/bin/sh\nexec sleep 60\n");
    chmodSync(file, 0o755);
  }
  const files = {
    "buf.gen.yaml": "version: v2\nplugins: [{ local: protoc-gen-micro, out: gen }]\n",
    "buf.yaml": "version: v2\n",
    "package.json": `{ "name": "slow", "micro": { "run": "true" } }`,
    "slow.proto": "",
    "late-import.js": lateImport,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(scratch, name), text);
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** Makes the parser of source code take a minute to load, on whatever machine. */
const lateImport = `
  import { register } from "node:module";
  const hooks = \`export async function resolve(specifier, context, next) {
    if (specifier === "ts-morph") await new Promise((resolve) => setTimeout(resolve, 60_000));
    return next(specifier, context);
  }\`;
  register("data:text/javascript," + encodeURIComponent(hooks));`;

interface Slow {
  readonly words: readonly string[];
  /** The output to the terminal. */
  readonly says: RegExp;
  readonly env?: Readonly<Record<string, string>>;
}

const onNats = (line: string, says: RegExp): readonly [string, Slow] => {
  const words = line.split(" ");
  return [line, { words, says, env: { MICRO_BACKEND: "nats://ADDRESS" } }];
};
const other = (line: string, says: RegExp, more = {}): readonly [string, Slow] => [
  line,
  { words: line.split(" "), says, env: more },
];

/** Every command that may wait, for each thing that it may wait for. */
const slow: readonly (readonly [string, Slow])[] = [
  other("new late --install", /installing packages/, { PATH: "BIN" }),
  other("run", /generating in \./),
  other("generate", /generating/),
  other("scaffold", /reading handlers/, { NODE_OPTIONS: "LATE" }),
  other("check", /comparing generated code/),
  other("lint", /checking the schema/),
  other("breaking --live", /compiling the schema/),
  onNats("services", /finding services/),
  onNats("registry watch echo", /finding echo/),
  other("describe ADDRESS", /asking ADDRESS/),
  onNats("call echo Echo", /finding echo/),
  other("call ADDRESS Echo {}", /asking ADDRESS for its schema/),
  other("call ADDRESS Echo {} --proto slow.proto", /asking ADDRESS for its schema/),
  other("health ADDRESS --timeout 60s", /asking ADDRESS/),
  other("stats ADDRESS --timeout 60s", /asking ADDRESS/),
  other("logs ADDRESS", /asking ADDRESS/),
  onNats("pub topic text --raw", /publishing to topic/),
  onNats("sub topic --raw", /subscribing to topic/),
  onNats("dlq ls", /finding dead letters/),
  onNats("dlq show a.dead 1", /reading a\.dead/),
  onNats("dlq replay a.dead 1", /replaying a\.dead/),
  onNats("dlq drop a.dead 1", /dropping from a\.dead/),
  onNats("store ls", /listing the store/),
  onNats("store get a", /reading a/),
  onNats("store set a b", /writing a/),
  onNats("store rm a", /deleting a/),
  onNats("config get a --from nats://ADDRESS?bucket=settings", /reading the configuration/),
  onNats("config dump --from nats://ADDRESS?bucket=settings", /reading the configuration/),
  onNats("lock ls", /finding locks/),
  onNats("leader ls", /finding leaders/),
  onNats("auth account order --issuer acme", /creating the account order/),
  onNats("auth token order --secret-file package.json", /issuing a token for order/),
  onNats("auth grant order --account order --issuer acme --scopes a", /granting order/),
  onNats("auth revoke account order", /revoking account order/),
  onNats("auth list", /reading the store/),
  onNats("auth rotate", /publishing the next key/),
  other("doctor", /checking buf/),
];

/** Commands that never wait: they read and write small files. */
const instant = [
  "templates eject",
  "auth dev",
  "auth whoami",
  "context ls",
  "context set",
  "context use",
  "context rm",
  "completion",
];

const filled = (text: string) =>
  text
    .replaceAll("ADDRESS", address)
    .replaceAll("BIN", `${join(scratch, "bin")}:${process.env.PATH}`)
    .replaceAll("LATE", `--import=${join(scratch, "late-import.js")}`);

function slowOptions({ env: more = {} }: Slow): MicroOptions {
  const values = Object.entries(more).map(([name, value]) => [name, filled(value)]);
  return { cwd: scratch, env: { ...env, ...Object.fromEntries(values) } };
}

describe("a command that takes longer than a second", () => {
  test("is in the table of every command that may wait", () => {
    const rows = new Set(slow.map(([line]) => line));
    const names = commands.map(({ name }) => name);
    const missing = names.filter(
      (name) => ![...rows].some((line) => `${line} `.startsWith(`${name} `)),
    );
    expect(missing).toEqual(instant);
  });

  test.concurrent.each(slow)("is reported by micro %s", async (_, row) => {
    const child = startMicroInTerminal(row.words.map(filled), slowOptions(row));
    try {
      const told = new RegExp(`${filled(row.says.source)} … \\d+ s`);
      let shown = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        shown += text;
      });
      await expect.poll(() => shown).toMatch(told);
    } finally {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  });

  const words = () => ["health", address, "--timeout", "2500ms"];

  test("leaves nothing behind when it ends", async () => {
    const { stdout, code } = await microInTerminal(words(), { env, keepProgress: true });
    expect(code).toBe(1);
    expect(stdout).toContain(`\r\u001b[2Kasking ${address} … 1 s`);
    const [last = ""] = stdout.split("\r\u001b[2K").slice(-1);
    expect(last.startsWith("\u001b[31mdeadline_exceeded")).toBe(true);
  });

  test("shows no progress in a pipe or with JSON", async () => {
    const piped = await run(words(), { env });
    expect(piped.stderr).toBe("");
    expect(piped.stdout).toMatch(/^deadline_exceeded/);
    const json = await microInTerminal([...words(), "--json"], { env, keepProgress: true });
    const dumb = await microInTerminal(words(), {
      env: { ...env, TERM: "dumb" },
      keepProgress: true,
    });
    for (const { stdout } of [json, dumb]) {
      expect(stdout).toContain("deadline_exceeded");
      expect(stdout).not.toContain("asking");
    }
  });
});
