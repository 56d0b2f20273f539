import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { long, testInCi } from "../../test/support/long.ts";
import { ownFleet } from "../../test/support/process.ts";
import { DevelopmentIssuer } from "../src/auth/development-issuer.ts";
import { tokenClaims } from "../src/auth/token-claims.ts";
import { micro } from "./support/micro.ts";
import { startRun } from "./support/running.ts";
import { folderWith, installInto } from "./support/workspace.ts";

const run = promisify(execFile);

function scratch(): string {
  const folder = folderWith({});
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function newProject(kind = "service"): Promise<string> {
  const cwd = scratch();
  expect((await micro(["new", "my-shop", "--template", kind], { cwd })).code).toBe(0);
  const project = join(cwd, "my-shop");
  installInto(project);
  return project;
}

const kinds = long ? ["service", "pubsub", "fullstack"] : ["service"];

describe.each(kinds)("a new project, %s", { timeout: 180_000 }, (kind) => {
  test("is called with its developer's token, and refused without", async () => {
    const project = await newProject(kind);
    const env = { ...ownFleet(), MICRO_LOG_LEVEL: "info", WEB_PORT: "0" };
    const running = startRun([], { cwd: project, env });
    const [, port] = await running.says(/the server listens.*127\.0\.0\.1:(\d+)/);
    const call = (cwd: string, more = {}, target = "my-shop") =>
      micro(["call", target, "Hello", '{"name":"Ada"}'], { cwd, env: { ...env, ...more } });

    expect((await call(project)).stdout).toBe('{"message":"Hello Ada"}\n');
    expect((await call(join(project, "src"), {}, `127.0.0.1:${port}`)).code).toBe(0);
    expect((await micro(["stats", "my-shop"], { cwd: project, env })).stdout).toMatch(/Hello +2/);

    const outside = await call(scratch());
    expect(outside.code).toBe(80);
    expect(outside.stderr).toMatch(/unauthenticated: .*set MICRO_TOKEN, or run `micro auth dev`/);
    const path = join(project, ".micro/access/developer.token");
    const token = readFileSync(path, "utf8").trim();
    expect((await call(scratch(), { MICRO_TOKEN: token })).code).toBe(0);
    const foreign = await DevelopmentIssuer.open(scratch());
    const { token: forged } = await foreign.issue("developer", { audience: ["my-shop"] });
    expect((await call(project, { MICRO_TOKEN: forged })).code).toBe(80);
    expect((await micro(["health", "my-shop"], { cwd: scratch(), env })).code).toBe(0);

    const post = async (headers: Record<string, string>) => {
      const url = `http://127.0.0.1:${port}/my_shop.v1.MyShopService/Hello`;
      const body = '{"name":"Ada"}';
      const type = { "content-type": "application/json" };
      return (await fetch(url, { method: "POST", body, headers: { ...type, ...headers } })).status;
    };
    expect(await post({})).toBe(401);
    expect(await post({ authorization: `Bearer ${token}` })).toBe(200);
    if (kind === "fullstack") {
      expect(running.output).toContain(`http://localhost:0#token=${token}`);
    }
    expect(running.output).not.toContain("restarts");
    process.kill(running.pid, "SIGINT");
    await running.ended;
  });

  testInCi("passes its own tests, which call it with an account and without", async () => {
    const project = await newProject(kind);
    const { stdout } = await run("npm", ["test"], { cwd: project });
    expect(stdout).toMatch(/pass 1\b[\s\S]*fail 0\b/);
    // Without auth they fail: the schema asks for accounts.
    const main = join(project, "test/my-shop-service.test.ts");
    writeFileSync(main, readFileSync(main, "utf8").replace(/^ +auth: .*$/m, "auth: false,"));
    const open = await run("npm", ["test"], { cwd: project }).catch((reason: unknown) => reason);
    expect(open).toMatchObject({ stdout: expect.stringContaining("Missing expected rejection") });
  });

  test("keeps its keys from git, images and other users", async () => {
    const project = await newProject(kind);
    expect(await micro(["auth", "dev"], { cwd: project })).toMatchObject({
      code: 0,
      stdout: ".micro/access/developer.token\n",
    });
    const folder = join(project, ".micro/access");
    expect(readdirSync(folder).sort()).toEqual([
      ...[".gitignore", "developer.token", "events.pem", "issuer.json", "keys.json"],
    ]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
    }
    expect(readFileSync(join(folder, "keys.json"), "utf8")).not.toContain('"d"');
    expect(readFileSync(join(project, ".dockerignore"), "utf8")).toMatch(/^\.micro$/m);
    await run("git", ["init", "-q"], { cwd: project });
    // The folder has a rule of its own as well.
    rmSync(join(project, ".gitignore"));
    const { stdout } = await run("git", ["status", "--short", "-uall", ".micro"], { cwd: project });
    expect(stdout).toBe("");
  });

  testInCi("does not start in production with the keys of a developer", async () => {
    const project = await newProject(kind);
    await micro(["generate"], { cwd: project });
    await micro(["auth", "dev"], { cwd: project });
    const env = { ...process.env, ...ownFleet(), NODE_ENV: "production" };
    const started = await run("npx", ["--no-install", "tsx", "src/main.ts"], { cwd: project, env })
      .then(() => undefined)
      .catch((reason: unknown) => reason);
    expect(started).toMatchObject({
      stderr: expect.stringContaining("set AUTH_ISSUER to the URL"),
    });
  });
});

testInCi(
  "a new project with events accepts those of its own key only, and micro pub signs by it",
  {
    timeout: 180_000,
  },
  async () => {
    const project = await newProject("pubsub");
    const env = { ...ownFleet(), MICRO_LOG_LEVEL: "info" };
    const running = startRun([], { cwd: project, env });
    await running.says(/the server listens/);
    const micros = (cwd: string, ...words: string[]) => micro(words, { cwd, env });
    const greeted = (name: string) => ["pub", "my_shop.greeted", JSON.stringify({ name })];
    const proto = ["--proto", join(project, "proto")];
    const outside = await micros(scratch(), ...greeted("Mallory"), ...proto);
    expect(outside.code).not.toBe(0);
    expect(outside.stderr).toMatch(/valid signature|not signed as it requires/);
    expect(await micros(project, ...greeted("Ada"), ...proto)).toMatchObject({ code: 0 });
    await expect
      .poll(async () => (await micros(project, "call", "my-shop", "Count", "{}")).stdout, {
        timeout: 30_000,
      })
      .toBe('{"greeted":1}\n');
    process.kill(running.pid, "SIGINT");
    await running.ended;
  },
);

describe("micro auth dev", () => {
  test("issues tokens for programs, with scopes and services of their own", async () => {
    const cwd = scratch();
    writeFileSync(join(cwd, "package.json"), '{"name":"@acme/stock"}');
    const dev = (...words: string[]) => micro(["--json", "auth", "dev", ...words], { cwd });
    const words = ["orders", "--scopes", "stock.read,stock.write"];
    const first = JSON.parse((await dev(...words)).stdout);
    expect(first).toMatchObject({
      ...{ id: "orders", audience: ["stock"], scopes: ["stock.read", "stock.write"] },
      path: join(cwd, ".micro/access/orders.token"),
    });
    expect(first).not.toHaveProperty("token");
    // Absent options stay.
    const second = JSON.parse((await dev("orders", "--audience", "mail")).stdout);
    expect(second).toMatchObject({ audience: ["stock", "mail"], scopes: first.scopes });
    const claims = tokenClaims(readFileSync(first.path, "utf8"));
    expect(claims).toMatchObject({ iss: "development", sub: "orders", aud: ["stock", "mail"] });
    const bad = await dev("../orders");
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining("cannot be a file name")]);
  });

  test("is what micro auth whoami shows within the project, unless another token is set", async () => {
    const cwd = scratch();
    writeFileSync(join(cwd, "package.json"), '{"name":"stock"}');
    const env = { MICRO_TOKEN: "" };
    const none = await micro(["auth", "whoami"], { cwd, env });
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("run `micro auth dev`")]);
    await micro(["auth", "dev"], { cwd });
    const own = await micro(["--json", "auth", "whoami"], { cwd, env });
    expect(JSON.parse(own.stdout)).toMatchObject({ id: "developer", audience: ["stock"] });
    const { token } = await (await DevelopmentIssuer.open(cwd)).issue("orders", { audience: [] });
    const other = await micro(["--json", "auth", "whoami"], { cwd, env: { MICRO_TOKEN: token } });
    expect(JSON.parse(other.stdout)).toMatchObject({ id: "orders" });
  });

  test("renews a token when half of its life is over", async () => {
    const issuer = await DevelopmentIssuer.open(scratch());
    const issued = await issuer.issue("developer", { audience: ["stock"] });
    expect(await issuer.token("developer")).toEqual(issued);
    const [head = "", body = "", tail = ""] = issued.token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    const old = { ...claims, exp: Math.floor(Date.now() / 1_000) + 11 * 60 * 60 };
    const text = Buffer.from(JSON.stringify(old)).toString("base64url");
    writeFileSync(issued.path, `${head}.${text}.${tail}`);
    const renewed = await issuer.token("developer");
    expect(renewed?.expiresAtMs).toBeGreaterThan(Date.now() + 23 * 60 * 60 * 1_000);
    expect(renewed?.audience).toEqual(["stock"]);
    expect(await issuer.token("orders")).toBeUndefined();
  });

  test("uses no key that is damaged, or that others may have written", async () => {
    const project = scratch();
    const { folder } = await DevelopmentIssuer.open(project);
    const key = join(folder, "issuer.json");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    for (const text of ["{", "{}", JSON.stringify(privateKey.export({ format: "jwk" }))]) {
      writeFileSync(key, text);
      await expect(DevelopmentIssuer.open(project)).rejects.toThrow(/is damaged; remove/);
    }
    rmSync(key);
    await DevelopmentIssuer.open(project);
    chmodSync(key, 0o666);
    await expect(DevelopmentIssuer.open(project)).rejects.toMatchObject({
      code: "permission_denied",
    });
  });

  test("several processes at once create one issuer", async () => {
    const cwd = scratch();
    const made = await Promise.all(
      Array.from({ length: 4 }, (_, index) => micro(["auth", "dev", `program-${index}`], { cwd })),
    );
    expect(made.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const folder = join(cwd, ".micro/access");
    const { keys } = JSON.parse(readFileSync(join(folder, "keys.json"), "utf8"));
    for (const index of [0, 1, 2, 3]) {
      const token = readFileSync(join(folder, `program-${index}.token`), "utf8");
      const header = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString());
      expect(header.kid).toBe(keys[0].kid);
    }
  });
});
