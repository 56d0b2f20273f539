import { createServer, type Socket } from "node:net";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { errorOf } from "@micro-es/test-support/server";
import { ZooKeeperLink } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ZooKeeperConnection } from "../src/link/connection.ts";
import { create, getData, setData, sync } from "../src/wire/operations.ts";
import { ZooKeeperAdmin } from "./admin.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "./server.ts";

const acl = [{ permissions: 31, scheme: "world", id: "anyone" }];
const none = new Uint8Array();

/** A link that the test closes. */
function linkTo(options: ConstructorParameters<typeof ZooKeeperLink>[0]): ZooKeeperLink {
  const link = new ZooKeeperLink(options);
  onTestFinished(() => link.close());
  return link;
}

describe.skipIf(skipWithoutZooKeeper)("a session in ZooKeeper", () => {
  let server: ZooKeeperServer;
  let names = 0;
  beforeAll(async () => {
    server = await startZooKeeper();
  });
  afterAll(() => server?.close());
  const nextPath = () => `/link-${names++}`;
  const createAt = (path: string, isEphemeral = false) =>
    create({ path, data: none, acl, isEphemeral });

  test("outlives its connection, with what is ephemeral and with its watches", async () => {
    await using proxy = await FaultProxy.start(server.port);
    await using admin = new ZooKeeperAdmin(server.address);
    const link = linkTo({ servers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 5_000 });
    const path = nextPath();
    await link.call(createAt(path, true), "create");
    const { sessionId } = link;
    expect(sessionId).not.toBe(0n);
    const events: unknown[] = [];
    link.watches.watch(path, true, (event) => events.push(event));
    const isNew: boolean[] = [];
    link.onReconnect((each) => isNew.push(each));
    for (let cut = 1; cut <= 5; cut++) {
      proxy.cut();
      await expect.poll(() => isNew).toHaveLength(cut);
      // The watch is set before anything that is sent now.
      await link.call(sync(path), "sync");
      await admin.put(path, `${cut}`);
      await expect.poll(() => events).toHaveLength(cut);
    }
    expect(isNew).not.toContain(true);
    expect(link.sessionId).toBe(sessionId);
    expect((await admin.stat(path))?.ephemeralOwner).toBe(sessionId);
    expect(events[0]).toEqual({ type: 3, path });
  });

  test("that another connection ends is followed by another one, and so is one that expired", async () => {
    await using proxy = await FaultProxy.start(server.port);
    await using admin = new ZooKeeperAdmin(server.address);
    const link = linkTo({ servers: `127.0.0.1:${proxy.port}`, sessionTimeoutMs: 1_000 });
    const path = nextPath();
    await link.call(createAt(path, true), "create");
    const first = link.sessionId;
    const isNew: boolean[] = [];
    link.onReconnect((each) => isNew.push(each));
    await endSession(server, link);
    await expect.poll(() => isNew).toContain(true);
    expect(link.sessionId).not.toBe(first);
    expect(await admin.stat(path)).toBeUndefined();
    await link.call(createAt(path, true), "create");
    const second = link.sessionId;
    proxy.refuse(true);
    proxy.cut();
    await expect.poll(() => admin.stat(path)).toBeUndefined();
    expect(performance.now()).toBeGreaterThan(link.sessionLastsUntil);
    proxy.refuse(false);
    await link.untilConnected();
    expect(link.sessionId).not.toBe(second);
    expect((await link.call(createAt(path, true), "create")).stat.ephemeralOwner).toBe(
      link.sessionId,
    );
  });

  test("ends with its link, and with it what is ephemeral", async () => {
    await using admin = new ZooKeeperAdmin(server.address);
    const link = linkTo({ servers: server.address });
    const path = nextPath();
    await link.call(createAt(path, true), "create");
    await link.close();
    expect(await admin.stat(path)).toBeUndefined();
    expect(await errorOf(link.call(getData("/"), "read"))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
  });

  test("leaves a server that says nothing for two thirds of its timeout", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const link = linkTo({ servers: [`127.0.0.1:${proxy.port}`], sessionTimeoutMs: 3_000 });
    await link.open();
    const { sessionId } = link;
    const lost = new Promise((resolve) => link.status.onStateChange(resolve));
    proxy.swallow(true);
    const since = performance.now();
    expect(await lost).toBe("lost");
    // What arrived last may be a ping of up to a third of the timeout before.
    expect(performance.now() - since).toBeGreaterThan(900);
    expect(performance.now() - since).toBeLessThan(6_000);
    proxy.swallow(false);
    proxy.cut();
    await link.untilConnected();
    expect(link.sessionTimeoutMs).toBe(3_000);
    expect(sessionId).not.toBe(0n);
  });

  test("tells the outcome of what was in flight: unknown for writes, and reads are repeated", async () => {
    await using proxy = await FaultProxy.start(server.port);
    await using admin = new ZooKeeperAdmin(server.address);
    const link = linkTo({ servers: `127.0.0.1:${proxy.port}` });
    const path = nextPath();
    await link.call(createAt(path), "create");
    proxy.swallowResponses(true);
    const write = errorOf(link.call(setData(path, Buffer.from("x"), 0), "write"));
    const read = link.call(getData(path), "read");
    await expect.poll(async () => (await admin.stat(path))?.version).toBe(1);
    proxy.swallowResponses(false);
    proxy.cut();
    expect(await write).toMatchObject({ code: "unavailable", outcome: "unknown" });
    expect((await read).data.toString()).toBe("x");
    proxy.refuse(true);
    proxy.cut();
    await expect.poll(() => link.connected).toBe(false);
    expect(await errorOf(link.call(setData(path, none, -1), "write"))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    expect((await admin.stat(path))?.version).toBe(1);
  });

  test("refuses a request that ZooKeeper would not take, and goes on", async () => {
    const link = linkTo({ servers: server.address });
    const path = nextPath();
    await link.call(createAt(path), "create");
    let connects = 0;
    link.onReconnect(() => connects++);
    const rest = 8 + 4 + path.length + 4 + 4;
    const tooLarge = setData(path, new Uint8Array(1024 * 1024 - rest), -1);
    const refused = await errorOf(link.call(tooLarge, "write"));
    expect(refused).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect(refused.message).toMatch(/1048576 bytes; ZooKeeper takes 1048575 at most/);
    await link.call(setData(path, new Uint8Array(1024 * 1024 - rest - 1), -1), "write");
    expect((await link.call(getData(path), "read")).data).toHaveLength(1024 * 1024 - rest - 1);
    expect(connects).toBe(0);
  });

  test("goes on where an ensemble has lost its data", async () => {
    await using own = await startZooKeeper();
    const link = linkTo({ servers: own.address, sessionTimeoutMs: 1_000 });
    for (let turn = 0; turn < 10; turn++) await link.call(createAt(nextPath()), "create");
    const isNew: boolean[] = [];
    link.onReconnect((each) => isNew.push(each));
    await own.stop();
    own.wipe();
    await own.start();
    await expect.poll(() => isNew, { timeout: 20_000 }).toEqual([true]);
    expect(await errorOf(link.call(getData("/link-0"), "read"))).toMatchObject({
      code: "not_found",
    });
  });

  test("is left by a first use that is cancelled, and waits for a server only so long", async () => {
    const link = linkTo({ servers: "127.0.0.1:1", startTimeoutMs: 0 });
    expect(await errorOf(link.call(getData("/"), "read"))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    const waiting = linkTo({ servers: "127.0.0.1:1" });
    const aborting = new AbortController();
    const opening = errorOf(waiting.open(aborting.signal));
    aborting.abort();
    expect(await opening).toMatchObject({ code: "canceled" });
  });
});

describe("a server that does not speak ZooKeeper's protocol", () => {
  const granted = Buffer.from(
    "000000250000000000000fa00000000000000100000000100000000000000000000000000000000000",
    "hex",
  );

  /** A server that sends these bytes to whoever connects, and whatever else is asked of it. */
  const startPeer = async (send: (socket: Socket) => void): Promise<string> => {
    const sockets = new Set<Socket>();
    const peer = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("data", () => send(socket));
    });
    await new Promise<void>((resolve) => {
      peer.listen(0, "127.0.0.1", resolve);
    });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      peer.close();
    });
    const address = peer.address();
    return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  };

  test.each<[string, string | Buffer]>([
    ["a web server", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["one that announces too much", Buffer.from("7fffffff", "hex")],
    ["one whose response is cut off", Buffer.from("0000000400000000", "hex")],
    ["one that closes", ""],
  ])("is an error at once: %s", async (_what, bytes) => {
    const servers = await startPeer((socket) => socket.end(bytes));
    const link = linkTo({ servers, startTimeoutMs: 0 });
    expect(await errorOf(link.open())).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
  });

  test.each<[string, string]>([
    ["a response to nothing", "00000010 00000063 0000000000000001 00000000"],
    ["a length beyond all limits", "7fffffff"],
    ["an event that is cut off", "00000014 ffffffff ffffffffffffffff 00000000 00000001"],
    ["data longer than its message", "00000014 00000001 0000000000000001 00000000 7fffffff"],
  ])("ends the connection and what waits for it: %s", async (_what, hex) => {
    const servers = await startPeer((socket) => {
      socket.write(granted);
      // The request of the test.
      socket.once("data", () => socket.write(Buffer.from(hex.replaceAll(" ", ""), "hex")));
    });
    const link = linkTo({ servers, startTimeoutMs: 0 });
    const failed = await errorOf(link.call(setData("/a", none, -1), "write"));
    expect(failed).toMatchObject({ code: "unavailable", outcome: "unknown" });
    expect(failed.message).toMatch(/not ZooKeeper's protocol/);
  });
});

/** Ends the session of a link by attaching to it from another connection, and closing it there. */
async function endSession(server: ZooKeeperServer, link: ZooKeeperLink): Promise<void> {
  const { id, password } = link.session;
  const connection = await ZooKeeperConnection.open(
    { host: "127.0.0.1", port: server.port, text: server.address },
    {
      tls: undefined,
      timeoutMs: 5_000,
      handshakeMs: 5_000,
      session: { lastZxid: 0n, timeoutMs: 5_000, sessionId: id, password },
    },
    new AbortController().signal,
  );
  connection.follow({ event() {}, heard() {}, lost() {} }, undefined);
  await connection.endSession();
}
