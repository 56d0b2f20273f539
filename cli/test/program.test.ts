import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gossipRegistry } from "@micro-es/runtime";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { commands } from "../src/commands.ts";
import { type MicroOptions, microInTerminal, micro as run } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env = { HOME: scratch, XDG_CONFIG_HOME: join(scratch, "config"), MICRO_CONTEXT: "" };
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const micro = (words: readonly string[], options: MicroOptions = {}) =>
  run(words, { ...options, env: { ...env, ...options.env } });
// biome-ignore lint/suspicious/noControlCharactersInRegex: searches for escape sequences of colours
const colour = /\u001b\[\d+m/;

describe("micro", () => {
  test("lists its commands, with colours only in a terminal", async () => {
    const piped = await micro(["--help"]);
    for (const { name, summary } of commands) {
      expect(piped.stdout).toMatch(
        new RegExp(`^ {2}${name} +${summary.replace(/[?.]/g, "\\$&")}$`, "m"),
      );
    }
    expect(piped.stdout).not.toMatch(colour);
    expect((await microInTerminal(["--help"], { env })).stdout).toMatch(colour);
    const plain = await microInTerminal(["--help"], { env: { ...env, NO_COLOR: "1" } });
    expect(plain.stdout).not.toMatch(colour);
  });

  test("explains each command", async () => {
    const [some] = commands;
    const { stdout, code } = await micro([...(some?.name.split(" ") ?? []), "--help"]);
    expect(stdout).toMatch(/Usage\n {2}micro .*\n[\s\S]*Options\n[\s\S]*--json[\s\S]*Examples\n/);
    expect(code).toBe(0);
  });

  test.each(commands.map(({ name, summary }) => [name, summary]))(
    "%s has a summary that is an imperative",
    (_, summary) => {
      expect(summary).toMatch(/^[A-Z][a-z]*[a-rt-z] [^.]*[^.]$/);
    },
  );

  test.each(commands.map((entry) => [entry.name, entry] as const))(
    "%s has examples that name it",
    async (name, { load }) => {
      const { command } = await load();
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [line] of command.examples) expect(line).toContain(`micro ${name}`);
    },
  );

  test("suggests what was probably meant", async () => {
    expect(await micro(["servics"])).toMatchObject({
      code: 2,
      stderr: "error: there is no command servics; did you mean `micro services`?\n",
    });
    expect((await micro(["services", "--jsn"])).stderr).toMatch(
      /no option --jsn; did you mean --json\?/,
    );
    expect((await micro(["call", "echo"])).stderr).toMatch(
      /<method> is missing: such as Greeter\/Hello/,
    );
    expect((await micro(["context", "use", "a", "b"])).stderr).toMatch(
      /"b" is one argument too many/,
    );
    expect((await micro(["store", "foo"])).stderr).toMatch(/there are: store ls, store get/);
    expect((await micro(["call", "a", "b", "--timeout", "5"])).stderr).toMatch(
      /--timeout takes a duration such as 500ms/,
    );
  });

  test.each([
    ["nwe", "micro new"],
    ["rnu", "micro run"],
    ["chekc", "micro check"],
    ["gen", "micro generate"],
    ["registry wach", "micro registry watch"],
    ["store sl", "micro store ls"],
    ["stor ls", "micro store ls"],
    ["sotre gte", "micro store get"],
    ["New", "micro new"],
    ["check --agianst main", "--against"],
    ["new shop --tempalte pubsub", "--template"],
    ["new shop --template sevrice", "service"],
  ])("suggests a correction of `micro %s`", async (words, meant) => {
    const { stderr, code } = await micro(words.split(" "));
    expect(stderr).toContain(
      `did you mean ${meant.startsWith("micro ") ? `\`${meant}\`` : meant}?`,
    );
    expect(code).toBe(2);
  });

  test("reports errors as JSON with --json", async () => {
    const { stderr } = await micro(["services", "--context", "nowhere", "--json"]);
    expect(JSON.parse(stderr)).toEqual({
      error: { message: "there is no environment named nowhere; `micro context ls` lists them" },
    });
  });

  test("prints its version", async () => {
    const { version } = JSON.parse(
      readFileSync(new URL("../package.json", import.meta.url), "utf8"),
    );
    expect((await micro(["--version"])).stdout).toBe(`${version}\n`);
  });
});

describe("micro context", () => {
  test("creates, uses and removes environments, and shows no password", async () => {
    const url = "nats://ada:lovelace@127.0.0.1:4222";
    await micro(["context", "set", "staging", `MICRO_BACKEND=${url}`, "--use"]);
    await micro(["context", "set", "local", "MICRO_REGISTRY=memory"]);
    const listed = (await micro(["context", "ls"])).stdout;
    expect(listed).toBe(
      "  local  MICRO_REGISTRY=memory\n* staging  MICRO_BACKEND=nats://…@127.0.0.1:4222\n",
    );
    const file = join(scratch, "config/micro/contexts.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await micro(["context", "use", "local"]);
    expect((await micro(["context", "ls"])).stdout).toMatch(/^\* local/m);
    expect((await micro(["context", "rm", "stagin"])).stderr).toMatch(/did you mean staging\?/);
    await micro(["context", "rm", "staging"]);
    await micro(["context", "use"]);
    expect((await micro(["context", "ls"])).stdout).toBe("  local  MICRO_REGISTRY=memory\n");
  });

  test("is overridden by the shell's variables by default, and overrides them if named", async () => {
    await micro(["context", "set", "wrong", "MICRO_REGISTRY=nonsense", "--use"]);
    expect((await micro(["services"])).stderr).toMatch(/MICRO_REGISTRY/);
    const shell = { MICRO_REGISTRY: "memory" };
    expect((await micro(["services"], { env: shell })).code).toBe(0);
    const asked = await micro(["services", "--context", "wrong"], { env: shell });
    expect(asked.stderr).toMatch(/MICRO_REGISTRY/);
    await micro(["context", "rm", "wrong"]);
  });

  test("refuses words that are not variables, and an invalid file", async () => {
    expect((await micro(["context", "set", "x", "PATH=/"])).stderr).toMatch(
      /"PATH=\/" is not a variable/,
    );
    const file = join(scratch, "config/micro/contexts.json");
    const good = readFileSync(file);
    writeFileSync(file, "{");
    expect(await micro(["context", "ls"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/contexts.json is not valid JSON: .*; fix or delete it/),
    });
    writeFileSync(file, good);
  });
});

describe("micro doctor", () => {
  test("finds no problem here", async () => {
    const { stdout, code } = await micro(["doctor", "--json"], {
      env: { MICRO_MDNS_INTERFACE: "127.0.0.1" },
    });
    const findings = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(findings).toContainEqual({
      check: "Node.js",
      state: "good",
      found: process.versions.node,
    });
    expect(
      findings.filter(({ check, state }) => state === "wrong" && check !== "protoc-gen-micro"),
    ).toEqual([]);
    expect([0, 1]).toContain(code);
  });

  test("finds a port in use, and a server that does not respond", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { stdout, code } = await micro(["doctor"], {
      env: { MICRO_ADDRESS: `127.0.0.1:${port}`, MICRO_BACKEND: "nats://127.0.0.1:9" },
    });
    taken.close();
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`✗ ports: .*127.0.0.1:${port}.*EADDRINUSE[\\s\\S]*set MICRO_ADDRESS`),
    );
    expect(stdout).toMatch(/✗ backends: .*127.0.0.1:9/);
  });

  testInCi("says whether gossip reaches other members, and why not", async () => {
    const [key, otherKey] = ["ab", "cd"].map((byte) => byte.repeat(32)) as [string, string];
    const member = gossipRegistry({
      bind: "127.0.0.1:0",
      seeds: ["127.0.0.1:1"],
      key,
      joinTimeoutMs: 0,
    });
    onTestFinished(() => member.close());
    await member.list();
    const backends = async (registry: string, shared: string) => {
      const env = { MICRO_REGISTRY: registry, MICRO_GOSSIP_KEY: shared };
      const { stdout } = await micro(["doctor"], { env });
      return stdout.slice(stdout.indexOf("backends: ") - 2);
    };
    const seed = `gossip://${member.address}`;
    expect(await backends(seed, key)).toContain(
      "✓ backends: the gossip registry responds, with 0 services and 1 other members",
    );
    expect(await backends(seed, otherKey)).toMatch(
      new RegExp(`✗ backends: .*degraded: .*${member.address} ends connections.*another key`),
    );
    expect(await backends("memory:,gossip://127.0.0.1:9", key)).toMatch(
      /✗ backends: the gossip registry is degraded: .*127\.0\.0\.1:9 refuses connections/,
    );
  });
});

describe("micro completion", () => {
  test.each(["bash", "zsh", "fish"])("is for %s, with every command", async (shell) => {
    const { stdout } = await micro(["completion", shell]);
    for (const { name } of commands) expect(stdout).toContain(name.split(" ").at(-1));
    expect(stdout).toContain("descriptor-set");
  });

  test("completes in bash", async () => {
    const { stdout } = await micro(["completion", "bash"]);
    const file = join(scratch, "completion.bash");
    const ask = (words: readonly string[]) => `
      COMP_WORDS=(micro ${words.map((word) => `"${word}"`).join(" ")}); COMP_CWORD=${words.length}
      _micro; echo "\${COMPREPLY[@]}"`;
    writeFileSync(
      file,
      `${stdout}\n${ask(["serv"])}${ask(["context", ""])}${ask(["call", "echo", "--desc"])}${ask(["context", "set", "--u"])}`,
    );
    const { execFileSync } = await import("node:child_process");
    const answers = execFileSync("bash", ["--norc", file], { encoding: "utf8", cwd: scratch });
    expect(answers.trim().split("\n")).toEqual([
      "services",
      "ls set use rm",
      "--descriptor-set",
      "--use",
    ]);
  });
});
