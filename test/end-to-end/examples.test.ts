import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { natsPrograms } from "../../drivers/nats/test/servers.ts";

const repository = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/**
 * Runs an npm script at the top of the repository and returns what it printed; rejects when it
 * fails.
 */
async function npm(...args: string[]): Promise<string> {
  const { stdout } = await run("npm", ["run", "--silent", ...args], {
    cwd: repository,
    timeout: 120_000,
  });
  return stdout;
}

test("the demo shows every promise and ends with status 0", async () => {
  const output = await npm("demo");
  for (const words of [
    /unary +"Hello Ada", says (red|blue)/,
    /server streaming +ticks 1, 2, 3/,
    /client streaming +"Hello Ada, Grace, Barbara"/,
    /bidirectional +ONE! TWO!/,
    /100 more calls +blue handled \d+, red handled \d+/,
    /101 counted by red and blue together/,
    /101 received by log/,
    /red, process \d+, was killed/,
    /200 calls .* 0 failed/,
    /blue +ended with code 0/,
    /Everything worked/,
  ]) {
    expect(output).toMatch(words);
  }
});

describe("examples", () => {
  const examples = readdirSync(join(repository, "examples"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !["support", "greeter"].includes(entry.name))
    .map((entry) => entry.name);

  // The provider that the example signs in with prints it on releases of Node without long support.
  const notLongTerm = /^oidc-provider WARNING: Unsupported runtime\..*\n/;

  test.each(examples)("%s runs by its one command", async (name) => {
    // It says so itself, loudly, and fails where CI is true.
    if (name === "fleet" && natsPrograms().length === 0 && process.env.CI !== "true") return;
    const readme = readFileSync(join(repository, "examples", name, "README.md"), "utf8");
    expect(readme).toContain(`npm start -w examples/${name}`);
    const { stdout, stderr } = await run("npm", ["start", "--silent", "-w", `examples/${name}`], {
      cwd: repository,
      timeout: 120_000,
    });
    expect(stderr.replace(notLongTerm, "")).toBe("");
    expect(stdout).not.toBe("");
  });
});
