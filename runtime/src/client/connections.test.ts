import { afterEach, describe, expect, test, vi } from "vitest";
import { type ScriptedClient, scriptedClient } from "../../../test/support/client.ts";
import { echo } from "../../../test/support/echo.ts";
import { turns } from "../../../test/support/scripted-registry.ts";
import { errorOf } from "../../../test/support/server.ts";
import { MicroError } from "../base/error.ts";
import type { ClientParts } from "./rpc-client.ts";

const open: ScriptedClient[] = [];
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
  vi.useRealTimers();
});

async function start(nodes: readonly string[], parts: Partial<ClientParts> = {}) {
  const it = await scriptedClient(nodes, parts);
  open.push(it);
  return it;
}

const refused = new MicroError("unavailable", "connection refused", { outcome: "not-executed" });
const reconnect = { firstMs: 1_000, factor: 1.6, mostMs: 120_000, jitter: 0 };

/** Makes a call and returns whether it succeeded or failed. */
async function outcome(it: ScriptedClient): Promise<string> {
  return it.client.unary(echo.once, {}).then(
    () => "ok",
    (error: MicroError) => error.message,
  );
}

describe("connections", () => {
  test("are shared: concurrent calls dial once", async () => {
    const { client, transport } = await start(["a"]);
    await Promise.all(Array.from({ length: 100 }, () => client.unary(echo.echo, {})));
    await client.unary(echo.echo, {});
    expect(transport.dials).toEqual(["memory:a"]);
  });

  test("are several if one has too many calls and more are allowed", async () => {
    const { client, transport } = await start(["a"], { maxConnectionsPerNode: 2 });
    let finish: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    transport.onUnary = () => held;
    const calls = [client.unary(echo.echo, {})];
    await turns();
    for (let call = 0; call < 1_100; call++) calls.push(client.unary(echo.echo, {}));
    await turns();
    for (let call = 0; call < 100; call++) calls.push(client.unary(echo.echo, {}));
    await turns();
    expect(transport.dials).toHaveLength(2);
    expect(transport.channels[1]?.openCalls).toBe(100);
    finish();
    await Promise.all(calls);
  });

  test("that drain get no further call, and no call fails", async () => {
    const it = await start(["a"]);
    await outcome(it);
    it.transport.channels[0]!.state = "draining";
    expect(await outcome(it)).toBe("ok");
    expect(it.transport.dials).toHaveLength(2);
  });

  test("that drain while a call is refused do not use the retry budget", async () => {
    const it = await start(["a", "b"], { retryBudget: { most: 0 } });
    it.transport.onUnary = ({ channel, address }) => {
      if (address !== "memory:a") return {};
      channel.state = "draining";
      throw refused;
    };
    for (let call = 0; call < 4; call++) expect(await outcome(it)).toBe("ok");
  });

  test("that were lost are dialled again at once, and then with increasing delays", async () => {
    vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
    const it = await start(["a"], { reconnect, retry: false });
    const settle = async (call: Promise<string>) => {
      for (let step = 0; step < 10; step++) {
        await turns(3);
        await vi.advanceTimersByTimeAsync(100);
      }
      return call;
    };
    expect(await settle(outcome(it))).toBe("ok");
    await vi.advanceTimersByTimeAsync(60_000);
    it.transport.channels[0]!.break();
    await turns();
    it.transport.onDial = () => {
      throw refused;
    };
    const dialsWithin = async (ms: number) => {
      const before = it.transport.dials.length;
      for (let passed = 0; passed < ms; passed += 1_000) await settle(outcome(it));
      return it.transport.dials.length - before;
    };
    expect(await dialsWithin(1_000)).toBe(1);
    const dials = it.transport.dials.length + (await dialsWithin(119_000)) - 1;
    // gRPC's arithmetic: 1, 1.6, 2.56 … seconds between dials allow at most eleven in two minutes.
    expect(dials).toBeLessThanOrEqual(11 + 1);
    expect(dials).toBeGreaterThanOrEqual(8);
    it.transport.onDial = () => undefined;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await settle(outcome(it))).toBe("ok");
  });

  test("to an address that refuses are not tried for a while, and the error says so", async () => {
    const it = await start(["a"], { reconnect });
    it.transport.onDial = () => {
      throw refused;
    };
    const error = await errorOf(it.client.unary(echo.once, {}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(error.message).toMatch(
      /Once on echo at memory:a.*connection refused.*not dialled again/,
    );
    expect(it.transport.dials).toHaveLength(1);
  });

  test("in backoff are skipped while there is another node", async () => {
    const it = await start(["a", "b", "c", "d", "e", "f"], { reconnect });
    it.transport.onDial = (address) => {
      if (address !== "memory:f") throw refused;
    };
    while (new Set(it.transport.dials).size < 6) await outcome(it);
    for (let call = 0; call < 20; call++) expect(await outcome(it)).toBe("ok");
    expect(it.transport.dials).toHaveLength(6);
  });

  test("that lasted are redialled at once each time they are lost", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const it = await start(["a"], { reconnect });
    for (let loss = 0; loss < 4; loss++) {
      expect(await outcome(it)).toBe("ok");
      vi.advanceTimersByTime(2_000);
      it.transport.channels.at(-1)?.break();
      await turns();
    }
    expect(await outcome(it)).toBe("ok");
  });

  test("that responded are redialled at once each time they are lost, however short they lasted", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const it = await start(["a"], { reconnect });
    it.transport.hasHandshake = false;
    for (let loss = 0; loss < 8; loss++) {
      expect(await outcome(it)).toBe("ok");
      it.transport.channels.at(-1)?.break();
      await turns();
    }
    expect(it.transport.dials).toHaveLength(8);
  });

  test("that were lost before they were established are redialled at once only the first time", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const it = await start(["a"], { reconnect, retry: false });
    it.transport.hasHandshake = false;
    const lost = new MicroError("unavailable", "the connection was lost", { outcome: "unknown" });
    it.transport.onUnary = ({ channel }) => {
      channel.break();
      throw lost;
    };
    const lose = async () => {
      expect(await outcome(it)).toContain("the connection was lost");
      await turns();
    };
    await lose();
    await lose();
    expect(await outcome(it)).toContain("not dialled again for 1600 ms");
    expect(it.transport.dials).toHaveLength(2);
    vi.advanceTimersByTime(1_600);
    it.transport.onUnary = () => ({});
    expect(await outcome(it)).toBe("ok");
  });

  test("are dialled at once when a new node is registered", async () => {
    const it = await start([], { reconnect });
    await it.register("a1", { address: "memory:same" });
    it.transport.onDial = () => {
      throw refused;
    };
    expect(await outcome(it)).toContain("refused");
    it.transport.onDial = () => undefined;
    await it.register("a2", { address: "memory:same" });
    await turns();
    expect(await outcome(it)).toBe("ok");
  });

  test("that take too long are replaced by another node's", async () => {
    const it = await start(["a", "b"], { dialTimeoutMs: 10 });
    it.transport.onDial = (address) =>
      address === "memory:a"
        ? Promise.reject(new MicroError("deadline_exceeded", "no response"))
        : undefined;
    for (let call = 0; call < 4; call++) expect(await outcome(it)).toBe("ok");
  });

  test("to nodes that left are closed once no call is open", async () => {
    const it = await start(["b"]);
    const registration = await it.register("a");
    for (let call = 0; call < 4; call++) await outcome(it);
    expect(it.transport.open.map(({ address }) => address).sort()).toEqual([
      "memory:a",
      "memory:b",
    ]);
    await registration.close();
    await turns();
    expect(it.transport.open.map(({ address }) => address)).toEqual(["memory:b"]);
  });

  test("to nodes that left are kept while a call is open on them", async () => {
    const it = await start([]);
    const registration = await it.register("a");
    it.transport.onUnary = async () => {
      await registration.close();
      await turns();
      expect(it.transport.open).toHaveLength(1);
      return {};
    };
    expect(await outcome(it)).toBe("ok");
  });

  test("that are no longer used are closed", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const it = await start(["a"], { idleMs: 1_000 });
    await outcome(it);
    vi.advanceTimersByTime(500);
    await outcome(it);
    vi.advanceTimersByTime(500);
    expect(it.transport.open).toHaveLength(1);
    vi.advanceTimersByTime(500);
    expect(it.transport.open).toHaveLength(0);
    expect(await outcome(it)).toBe("ok");
  });

  test("are bounded: an idle one is closed, and otherwise the call is refused", async () => {
    const it = await start([], { maxAddresses: 2 });
    const to = (name: string) => it.client.unary(echo.echo, {}, { address: `memory:${name}` });
    for (const name of ["a", "b", "c"]) await to(name);
    expect(it.transport.open.map(({ address }) => address)).toEqual(["memory:b", "memory:c"]);
    it.transport.onUnary = () => new Promise(() => {});
    const held = [to("b"), to("c")];
    await turns();
    const error = await errorOf(to("d"));
    expect(error).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    for (const call of held) call.catch(() => undefined);
  });
});

describe("closing a client", () => {
  test("refuses new calls, lets open ones end, and closes connections", async () => {
    const it = await start(["a"]);
    let finish: (answer: unknown) => void = () => undefined;
    it.transport.onUnary = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const call = it.client.unary(echo.echo, {});
    await turns();
    const closing = it.client.close(60_000);
    const error = await errorOf(it.client.unary(echo.echo, {}));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    expect(error.message).toContain("closed");
    expect(await errorOf(it.client.serverStream(echo.repeat, {}))).toMatchObject({
      code: "unavailable",
    });
    finish({ text: "done" });
    expect(await call).toMatchObject({ text: "done" });
    await closing;
    expect(it.transport.open).toEqual([]);
    expect(it.client.close()).toBe(it.client.close());
  });

  test("ends waiting calls, wherever they wait", async () => {
    const it = await start(["a"], { retry: { backoffMs: 60_000, maxBackoffMs: 60_000 } });
    it.transport.onUnary = () => {
      throw new MicroError("unavailable", "gone", { outcome: "unknown" });
    };
    const options = { timeoutMs: 200_000 };
    const backingOff = errorOf(it.client.unary(echo.echo, {}, options));
    await turns();
    it.transport.onDial = () => new Promise(() => {});
    const dialling = errorOf(it.client.unary(echo.echo, {}, { ...options, address: "memory:x" }));
    const looking = errorOf(it.client.unary(echo.echo, {}, { ...options, service: "absent" }));
    await turns();
    await it.client.close();
    const errors = await Promise.all([backingOff, dialling, looking]);
    expect(errors.map(({ code }) => code)).toEqual(["canceled", "canceled", "canceled"]);
  });
});
