import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { testInCi } from "../../test/support/long.ts";
import { ownFleet } from "../../test/support/process.ts";
import { micro as run } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-no-network-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A closed port. */
const closed = "127.0.0.1:9";
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const unavailable = 64 + 14;

describe("without a network", () => {
  // npm takes half a minute to give up.
  testInCi(
    "micro new writes a project, and --install says what it could not install, and how to continue",
    async () => {
      const npm = {
        npm_config_registry: `http://${closed}/`,
        npm_config_cache: join(scratch, "cache"),
        npm_config_loglevel: "silent",
      };
      const options = { cwd: scratch, env: { ...env, ...npm } };
      expect(await run(["new", "written"], options)).toMatchObject({ code: 0, stderr: "" });
      const { stdout, stderr, code } = await run(["new", "shop", "--install"], options);
      expect({ stdout, stderr, code }).toEqual({
        code: unavailable,
        stdout: "",
        stderr: `error: unavailable: shop was created, but its packages are not installed: npm cannot reach its registry at http://${closed} (ECONNREFUSED); \`cd shop && npm install\` continues with a network, or another registry (\`npm config set registry\`)\n`,
      });
      for (const file of ["package.json", "src/main.ts", "proto/shop/v1/shop.proto"]) {
        const text = (name: string) => readFileSync(join(scratch, name, file), "utf8");
        expect(existsSync(join(scratch, "shop", file))).toBe(true);
        if (file === "package.json") expect(JSON.parse(text("shop")).name).toBe("shop");
      }
    },
  );

  test.each([
    [["services"]],
    [["call", "echo", "Echo", "{}"]],
    [["health", "echo"]],
    [["stats"]],
    [["pub", "topic", "text", "--raw"]],
    [["sub", "topic", "--raw"]],
    [["dlq", "ls"]],
    [["store", "ls"]],
    [["lock", "ls"]],
    [["registry", "watch", "echo"]],
  ])("micro %j names the backend it cannot reach, and says what to do", async (words) => {
    const ended = await run(words, {
      env: { ...env, MICRO_BACKEND: `nats://ada:secret@${closed}` },
    });
    expect(ended).toEqual({
      code: unavailable,
      stdout: "",
      stderr: `error: unavailable: cannot connect to NATS at nats://${closed}: nothing listens there; start nats-server, or correct the URL\n`,
    });
  });

  test("micro call names the address it cannot reach", async () => {
    const { stderr, code } = await run(["call", closed, "Echo", "{}"], { env });
    expect(code).toBe(unavailable);
    expect(stderr).toMatch(new RegExp(`^error: unavailable: .*${closed}.*ECONNREFUSED`));
  });
});
