import { afterEach, expect, test, vi } from "vitest";
import { recordingLogger } from "../../../../test/support/server.ts";
import { testAuth } from "./test-auth.ts";

afterEach(() => void vi.unstubAllEnvs());

const at = (address: string, transport = "tcp") => ({ address, transport });

test("the id of an account is its token", async () => {
  const auth = testAuth({ accounts: { ada: { scopes: ["stock.read"], claims: { team: "a" } } } });
  const account = await auth.inspect({ scheme: "bearer", token: "ada" }, at("127.0.0.1:1"));
  expect(account).toMatchObject({ id: "ada", type: "user", claims: { team: "a" } });
  expect([...account!.scopes]).toEqual(["stock.read"]);
  for (const token of ["Ada", "ada ", "", "__proto__", "constructor"]) {
    expect(await auth.inspect({ scheme: "bearer", token }, at("127.0.0.1:1"))).toBeUndefined();
  }
});

test("an account that is replaced or has expired is refused", async () => {
  const auth = testAuth({ accounts: { ada: {}, bob: { expiresInMs: 0 } } });
  const inspect = (token: string) => auth.inspect({ scheme: "bearer", token }, at("127.0.0.1:1"));
  await expect(inspect("bob")).rejects.toThrow("expired");
  const before = await inspect("ada");
  const ended: boolean[] = [];
  auth.onRevoked?.((hasEnded) => ended.push(hasEnded(before!)));
  auth.add("ada", { scopes: ["more"] });
  expect(ended).toEqual([true]);
  expect([...(await inspect("ada"))!.scopes]).toEqual(["more"]);
});

test("callers on other machines are refused", async () => {
  const auth = testAuth({ accounts: { ada: {} } });
  const inspect = (address: string, transport?: string) =>
    auth.inspect({ scheme: "bearer", token: "ada" }, at(address, transport));
  for (const address of ["127.0.0.1:1", "127.8.8.8:65535", "[::1]:1", "unix:/run/a.sock"]) {
    expect(await inspect(address)).toBeDefined();
  }
  expect(await inspect("memory:stock", "memory")).toBeDefined();
  for (const address of ["10.0.0.1:1", "8.8.8.8:1", "[2001:db8::1]:1", "127.0.0.1.evil:1", ""]) {
    await expect(inspect(address)).rejects.toThrow("same machine");
  }
});

test("it does not start in production, and warns elsewhere", () => {
  const logger = recordingLogger();
  testAuth().useLogger?.(logger);
  expect(logger.lines).toEqual([expect.objectContaining({ level: "warn" })]);
  vi.stubEnv("NODE_ENV", "production");
  expect(() => testAuth()).toThrow(expect.objectContaining({ code: "failed_precondition" }));
});
