import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createService,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  silentLogger,
} from "@micro-es/runtime";
import { localAuth, storeRules } from "@micro-es/runtime/auth";
import { registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import { fileStore } from "@micro-es/runtime/store/file";
import { afterAll, describe, expect, test } from "vitest";
import { registerGuardedServiceHandler } from "../../test/gen/micro/test/v1/guarded_micro.ts";
import { testInCi } from "../../test/support/long.ts";
import { networkAddress } from "../../test/support/network-address.ts";
import { ownFleet } from "../../test/support/process.ts";
import { type MicroOptions, micro as run } from "./support/micro.ts";

const scratch = mkdtempSync(join(tmpdir(), "micro-cli-"));
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const peer = { address: "127.0.0.1:1", transport: "tcp" };

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A store of a test's own, and `micro` on it. */
function onStore(name: string) {
  const path = join(scratch, name);
  const own = { ...env, MICRO_STORE: `file:${path}` };
  const micro = (words: readonly string[], options: MicroOptions = {}) =>
    run(["auth", ...words], { ...options, env: { ...own, ...options.env } });
  return { path, micro };
}

describe("micro auth", () => {
  test("creates an account, whose secret gives tokens that a service accepts", async () => {
    const { path, micro } = onStore("accounts");
    const created = await micro([
      ..."account order --type service --scopes stock.write,stock.read".split(" "),
    ]);
    expect(created.code).toBe(0);
    expect(created.stdout).toMatch(/^[\w-]{43}\n$/);
    expect(created.stderr).toBe("this is the secret of order; it cannot be shown again\n");
    const secretFile = join(scratch, "order.secret");
    writeFileSync(secretFile, created.stdout);
    const early = await micro(["token", "order", "--secret-file", secretFile]);
    expect([early.code, early.stdout]).toEqual([2, ""]);
    expect(early.stderr).toMatch(/pass --issuer, or set MICRO_AUTH_ISSUER/);
    const unnamed = await micro(["list", "accounts", "--json"]);
    expect(Object.keys(JSON.parse(unnamed.stdout))).not.toContain("issuer");
    const tooLong = await micro(["token", "order", "--ttl", "48h"], { stdin: created.stdout });
    expect([tooLong.code, tooLong.stderr]).toEqual([
      2,
      'error: --ttl takes from 1s to 24h, not "48h"\n',
    ]);
    const nowhere = await micro(["token", "order", "--secret-file", "nowhere"]);
    expect(nowhere.stderr).toBe("error: there is no file nowhere\n");
    const words = ["token", "order", "--secret-file", secretFile, "--scopes", "stock.write"];
    const token = await micro([...words, "--issuer", "acme", "--ttl", "1h", "--json"]);
    expect(token.code).toBe(0);
    const { accessToken, scopes } = JSON.parse(token.stdout);
    expect(scopes).toEqual(["stock.write"]);
    const piped = await micro(["token", "order"], { stdin: created.stdout });
    expect(piped.stdout).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const wrong = await micro(["token", "order"], { stdin: "wrong" });
    expect([wrong.code, wrong.stderr]).toEqual([
      80,
      "error: unauthenticated: the grant is not valid\n",
    ]);
    const again = await micro(["account", "order"]);
    expect([again.code, again.stdout]).toEqual([70, ""]);
    expect(again.stderr).toMatch(/there is an account "order"/);
    {
      await using store = fileStore({ path });
      await using auth = localAuth({ store, issuer: "acme", logger: silentLogger });
      const account = await auth.inspect({ scheme: "bearer", token: accessToken }, peer);
      expect(account).toMatchObject({ id: "order", type: "service", issuer: "acme" });
    }
    const shown = await micro(["whoami"], { env: { MICRO_TOKEN: accessToken } });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^ACCOUNT +ISSUER +TYPE +AUDIENCE +SCOPES\norder +acme +service/);
    expect(shown.stderr).toMatch(/^it expires: 20/);
    for (const { stdout, stderr } of [shown, again, wrong]) {
      expect(stdout + stderr).not.toContain(created.stdout.trim());
    }
    const revoked = await micro(["revoke", "token", accessToken]);
    expect([revoked.code, revoked.stderr]).toEqual([0, "it is revoked\n"]);
    await using store = fileStore({ path });
    await using auth = localAuth({ store, issuer: "acme", logger: silentLogger });
    await expect(
      auth.inspect({ scheme: "bearer", token: accessToken }, peer),
    ).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("grants and revokes by rules that services follow", async () => {
    const { path, micro } = onStore("rules");
    const name = "acme.stock.v1.StockService/Reserve";
    const granted = await micro(["grant", "orders", name, "--account", "order"]);
    expect([granted.code, granted.stdout]).toEqual([0, ""]);
    expect((await micro(["grant", "off", "acme.*", "--deny", "--priority", "9"])).code).toBe(0);
    const scopes = ["--issuer", "acme", "--account", "order", "--scopes", "a,b"];
    expect((await micro(["grant", "s1", ...scopes])).code).toBe(0);
    const bad = await micro(["grant", "bad", "a*b"]);
    expect([bad.code, bad.stderr]).toEqual([67, expect.stringMatching(/not the last part/)]);
    const resource = { type: "method", name } as const;
    {
      await using store = fileStore({ path });
      await using rules = storeRules({ store, logger: silentLogger });
      await rules.open?.();
      expect(rules.verify(undefined, resource)).toEqual({ access: "denied", rule: "off" });
      expect(rules.list()).toHaveLength(3);
    }
    const listed = await micro(["list", "rules"]);
    expect(listed.stdout).toMatch(/^RULE +PRIORITY +ACCESS +RESOURCE +FOR\n/);
    expect(listed.stdout).toMatch(/^off +9 +denied +acme\.\* +everybody$/m);
    expect(listed.stdout).toMatch(/^orders +0 +granted +acme\S+ +account order$/m);
    expect(listed.stdout).toMatch(/^s1 +scopes +a b +account order of acme$/m);
    expect((await micro(["revoke", "rule", "off"])).code).toBe(0);
    const gone = await micro(["revoke", "rule", "off"]);
    expect([gone.code, gone.stderr]).toEqual([69, expect.stringMatching(/has no rule off/)]);
  });

  testInCi("rotates keys, lists everything without secrets, and revokes accounts", async () => {
    const { micro } = onStore("keys");
    const { publicKey } = generateKeyPairSync("ed25519");
    const keyFile = join(scratch, "billing.pem");
    writeFileSync(keyFile, publicKey.export({ type: "spki", format: "pem" }));
    const keyed = await micro(["account", "billing", "--public-key", keyFile]);
    expect([keyed.code, keyed.stdout]).toEqual([0, ""]);
    const wrapped = { env: { MICRO_AUTH_KEY: Buffer.alloc(32, 7).toString("base64") } };
    const rotated = await micro(["rotate", "--issuer", "acme"], wrapped);
    expect(rotated.code).toBe(0);
    const unwrapped = await micro(["rotate"]);
    expect(unwrapped.code).toBe(73);
    const all = await micro(["list"]);
    expect(all.stdout).toMatch(/^billing +service +key/m);
    expect(all.stdout).toContain(`${rotated.stdout.trim()}  EdDSA      next`);
    expect(all.stderr).toMatch(/no rules/);
    const key = await micro(["revoke", "key", rotated.stdout.trim()], wrapped);
    expect([key.code, key.stderr]).toEqual([0, `${rotated.stdout.trim()} is revoked\n`]);
    expect((await micro(["revoke", "account", "billing"])).code).toBe(0);
    const after = await micro(["list", "accounts", "--json"]);
    expect(JSON.parse(after.stdout)).toMatchObject({
      kind: "account",
      id: "billing",
      provenBy: "nothing",
    });
    expect(after.stdout).toContain("revokedAtMs");
  });

  test.each<[what: string, words: string[], code: number, reason: RegExp]>([
    ["no store", ["list"], 2, /MICRO_STORE/],
    ["an unknown kind", ["revoke", "thing", "x"], 2, /there are: account, token/],
    ["no token", ["whoami"], 2, /set MICRO_TOKEN, pass --token-file/],
    ["a rule of scopes", ["grant", "x", "acme.*", "--scopes", "a"], 2, /--scope selects callers/],
    ["scopes without an account", ["grant", "x", "--scopes", "a"], 2, /name a resource/],
    ["a priority in words", ["grant", "x", "acme.*", "--priority", "high"], 2, /whole number/],
  ])("explains %s", async (_what, words, code, reason) => {
    const result = await run(["auth", ...words], { env });
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(reason);
  });

  test("reads a token from a file, and never shows a text that is not one", async () => {
    const file = join(scratch, "bad.token");
    writeFileSync(file, "hunter2");
    const bad = await run(["auth", "whoami", "--token-file", file], { env });
    expect(bad.code).toBe(2);
    expect(bad.stderr).toMatch(/not an access token/);
    expect(bad.stdout + bad.stderr).not.toContain("hunter2");
    const claims = { sub: "ada", iss: "acme", exp: 1, scope: "a b", act: { sub: "order" } };
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    writeFileSync(file, `eyJ9.${payload}.x`);
    const old = await run(["auth", "whoami", "--token-file", file, "--json"], { env });
    expect(old.code).toBe(1);
    expect(JSON.parse(old.stdout)).toMatchObject({
      id: "ada",
      scopes: ["a", "b"],
      actor: { sub: "order" },
      expired: true,
    });
  });
});

describe("a token of the environment", () => {
  const proto = fileURLToPath(new URL("../../test/proto", import.meta.url));
  const handler = {
    about: () => ({ text: "documents" }),
    async *read() {},
    async write() {
      return {};
    },
    async *edit() {},
    delete: () => ({}),
    onDocumentChanged() {},
  };

  testInCi("is presented by commands that call, and nowhere that is not verified", async () => {
    await using store = memoryStore();
    await using auth = localAuth({ store, issuer: "acme", logger: silentLogger });
    const { secret } = await auth.generate("ada", {
      scopes: ["documents.write", "micro.reflect"],
    });
    const { accessToken } = await auth.token({ grant: "secret", id: "ada", secret });
    const service = createService({
      name: "guarded",
      address: "127.0.0.1:0",
      registry: memoryRegistry(),
      broker: memoryBroker(),
      logger: silentLogger,
      auth,
    });
    registerGuardedServiceHandler(service.server, handler);
    registerGrpcReflection(service.server);
    await service.start();
    try {
      const address = service.server.addresses[0]!;
      const native = ["--protocol", "native"];
      const words = ["call", address, "GuardedService/Delete", "{}", "--proto", proto, ...native];
      const without = await run(words, { env });
      expect([without.stderr, without.code]).toEqual([
        expect.stringMatching(
          /^error: unauthenticated.*\n {2}set MICRO_TOKEN .*or pass --token-file/,
        ),
        80,
      ]);
      const token = { ...env, MICRO_TOKEN: accessToken };
      expect(await run(words, { env: token })).toEqual({ code: 0, stdout: "{}\n", stderr: "" });
      const file = join(scratch, "ada.token");
      writeFileSync(file, `${accessToken}\n`);
      expect((await run([...words, "--token-file", file], { env })).code).toBe(0);
      const health = await run(["health", address, ...native], { env: token });
      expect(health.code).toBe(0);
      const { stdout: described } = await run(["describe", address], { env: token });
      expect(described).toContain("  // Public.\n  rpc About(");
      expect(described).toContain("  // Requires an account.\n  rpc Read(");
      expect(described).toContain("  // Requires the scopes documents.read, documents.write.\n");
      expect(described).toContain("  // Requires the scope documents.write.\n  rpc Delete(");
      const { accessToken: other } = await auth.token({
        grant: "secret",
        id: "ada",
        secret,
        audience: "stock",
      });
      const elsewhere = await run([...words, "--json"], { env: { ...env, MICRO_TOKEN: other } });
      expect(JSON.parse(elsewhere.stderr)).toMatchObject({
        error: {
          code: "unauthenticated",
          advice: expect.stringMatching(/^the token is for stock,/),
        },
      });
      const { secret: reader } = await auth.generate("reader", { scopes: ["documents.read"] });
      const { accessToken: weak } = await auth.token({
        grant: "secret",
        id: "reader",
        secret: reader,
      });
      const denied = await run(words, { env: { ...env, MICRO_TOKEN: weak } });
      expect([denied.code, denied.stderr]).toEqual([
        71,
        expect.stringMatching(
          /^error: permission_denied.*\n {2}`micro auth whoami` shows the scopes/,
        ),
      ]);
      const schema = await run(["describe", address], { env: { ...env, MICRO_TOKEN: weak } });
      expect(schema.stderr).toMatch(/permission_denied.*\n {2}.*the scope micro.reflect; --proto/);
    } finally {
      await service.stop();
    }
  });

  const elsewhere = networkAddress();

  test.skipIf(elsewhere === undefined)("stays here if others could listen", async () => {
    const server = createServer().listen(0, elsewhere);
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const heard: string[] = [];
    server.on("connection", (socket) => socket.on("data", (data) => heard.push(String(data))));
    try {
      const words = ["health", `${elsewhere}:${port}`, "--protocol", "native", "--timeout", "5s"];
      const token = { ...env, MICRO_TOKEN: "canary.canary.canary" };
      const refused = await run(words, { env: token });
      expect(refused.code).toBe(1);
      expect(refused.stdout).toMatch(/not encrypted|no response|deadline/);
      expect(heard.join()).not.toContain("canary");
    } finally {
      server.close();
    }
  });
});
