import { expect, test } from "vitest";
import { recordingLogger } from "../../../test/support/server.ts";
import { BackendStatus } from "../base/backend-state.ts";
import { asMicroError } from "../base/error.ts";
import { FollowedNodes } from "./followed-nodes.ts";
import type { NodeBackend, StoredNode } from "./node-backend.ts";
import { maxNodesPerService } from "./registry.ts";

const ttlMs = 10_000;

function stored(id: string, { key = id, address = "10.0.0.1:1", ageMs = 0 } = {}): StoredNode {
  const node = { id, service: "shop", version: "1", address, metadata: {}, endpoints: [] };
  return { key, ageMs, decode: () => ({ node, ttlMs, owner: "" }) };
}

/** Nodes of a backend that is told what happens. */
function follow(expiry: NodeBackend["expiry"] = "backend") {
  const status = new BackendStatus();
  const logger = recordingLogger();
  const following = { isCurrent: true, close: () => {} };
  const backend: NodeBackend = {
    name: "planted",
    state: "healthy",
    expiry,
    link: {
      status,
      connected: true,
      closed: false,
      open: async () => {},
      onReconnect: () => () => {},
      close: async () => {},
    },
    failure: (error) => asMicroError(error),
    onStateChange: () => () => {},
    follow: () => following,
    names: async () => [],
    registration: () => {
      throw new Error("nothing registers");
    },
    close: async () => {},
  };
  const due: number[] = [];
  const followed = new FollowedNodes(backend, "shop", logger, (until) => due.push(until));
  return { followed, following, logger, due, ids: () => followed.nodes.list().map(({ id }) => id) };
}

test("nodes that are gone after a gap stay for their ttl, unless they come back", async () => {
  const { followed, due, ids } = follow();
  followed.snapshot(["a", "b", "c"].map((id) => stored(id)));
  followed.resumed();
  followed.snapshot([stored("a")]);
  followed.delete("a");
  expect(ids()).toEqual(["a", "b", "c"]);
  followed.put(stored("b"));
  const last = Math.max(...due);
  expect(last).toBeGreaterThan(performance.now() + ttlMs - 1_000);
  followed.expire(last - ttlMs / 2, false);
  expect(ids()).toEqual(["a", "b", "c"]);
  expect(followed.expire(last, false)).toBe(Number.POSITIVE_INFINITY);
  expect(ids()).toEqual(["b"]);
});

test("nodes that are gone without a gap, or after a short one, are removed at once", () => {
  const { followed, ids } = follow();
  followed.snapshot(["a", "b", "c"].map((id) => stored(id)));
  followed.resumed(500);
  followed.delete("a");
  expect(ids()).toEqual(["b", "c"]);
  followed.snapshot([stored("c")]);
  expect(ids()).toEqual(["c"]);
});

test("a node that was first seen after a gap is removed at once", () => {
  const { followed, ids } = follow();
  followed.snapshot([stored("a")]);
  followed.resumed();
  followed.snapshot([stored("a"), stored("b")]);
  followed.put(stored("c"));
  for (const id of ["a", "b", "c"]) followed.delete(id);
  expect(ids()).toEqual(["a"]);
});

test("while the backend cannot be heard, or this process was suspended, no time is over", () => {
  const { followed, following, due, ids } = follow();
  followed.snapshot([stored("a")]);
  followed.resumed();
  followed.snapshot([]);
  const [until = 0] = due;
  following.isCurrent = false;
  expect(followed.expire(until, false)).toBe(until + ttlMs);
  following.isCurrent = true;
  expect(followed.expire(until + ttlMs, true)).toBe(until + 2 * ttlMs);
  expect(ids()).toEqual(["a"]);
  followed.expire(until + 2 * ttlMs, false);
  expect(ids()).toEqual([]);
});

test("of two records of a node the later counts, and then the other one", () => {
  const { followed } = follow();
  const addresses = () => followed.nodes.list().map(({ address }) => address);
  followed.snapshot([
    stored("a", { key: "1", address: "10.0.0.1:1" }),
    stored("a", { key: "2", address: "10.0.0.2:2" }),
  ]);
  expect(addresses()).toEqual(["10.0.0.2:2"]);
  followed.delete("2");
  expect(addresses()).toEqual(["10.0.0.1:1"]);
  followed.put(stored("a", { key: "3", address: "10.0.0.3:3" }));
  expect(addresses()).toEqual(["10.0.0.3:3"]);
});

test("readers end records by their age, and begin again after a gap", () => {
  const { followed, ids } = follow("reader");
  followed.snapshot([
    stored("old", { ageMs: ttlMs }),
    stored("young", { ageMs: ttlMs - 2_000 }),
    stored("new"),
  ]);
  expect(ids()).toEqual(["young", "new"]);
  const now = performance.now();
  followed.expire(now + 2_000, false);
  expect(ids()).toEqual(["young", "new"]);
  followed.expire(now + 3_000, false);
  expect(ids()).toEqual(["new"]);
  // A node known before a gap could not be renewed in it, and its record may have been lost.
  followed.put(stored("kept"));
  followed.snapshot([stored("new", { ageMs: 2 * ttlMs })]);
  expect(ids().sort()).toEqual(["kept", "new"]);
  followed.delete("kept");
  expect(ids()).toEqual(["new"]);
});

test("a service has a bounded number of nodes, and invalid records none; each is logged once", () => {
  const { followed, logger } = follow();
  const invalid = (key: string): StoredNode => ({
    key,
    decode: () => {
      throw new RangeError("planted");
    },
  });
  followed.snapshot([invalid("x"), { key: "other", decode: () => undefined }]);
  for (let number = 0; number < maxNodesPerService; number++) followed.put(stored(`n${number}`));
  expect(followed.put(stored("more"))).toBe(false);
  expect(followed.put(stored("n1", { address: "10.0.0.9:9" }))).toBe(true);
  expect(followed.put(stored("more"))).toBe(false);
  expect(followed.put(invalid("n2"))).toBe(true);
  expect(followed.put(stored("more"))).toBe(true);
  expect(followed.nodes.size).toBe(maxNodesPerService);
  expect(logger.lines.map(({ message }) => message)).toEqual([
    "a record in planted is not that of a node; it is ignored, and so are others of the service, without a message",
    `the service has more than ${maxNodesPerService} nodes; the others are ignored`,
  ]);
});

test("a caller that waits learns that the nodes cannot be determined, or waits on", async () => {
  const { followed, ids } = follow();
  const asked = followed.known();
  const eventually = followed.eventuallyKnown(new AbortController().signal);
  followed.failed(asMicroError(new Error("planted"), "unavailable"));
  await expect(asked).rejects.toMatchObject({ code: "unavailable" });
  followed.snapshot([stored("a")]);
  await eventually;
  await followed.known();
  expect(ids()).toEqual(["a"]);
});
