import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ConsulLink } from "@micro-es/consul";
import { errorOf } from "@micro-es/test-support/server";
import { expect, onTestFinished, test } from "vitest";
import { readKeys, writeKey } from "../src/link/keys.ts";

/** An agent that never responds to transactions, and has a leader until it is to lose it. */
async function startSilentAgent() {
  let [transactions, hasLeader] = [0, true];
  const server = createServer((request, response) => {
    request.resume();
    const { url = "" } = request;
    if (url.startsWith("/v1/txn")) transactions++;
    else if (url.startsWith("/v1/status/leader"))
      response.end(hasLeader ? '"10.0.0.1:8300"' : '""');
    else if (url.startsWith("/v1/health")) {
      const backend = url.includes("streamed") ? "streaming" : "blocking-query";
      response.setHeader("x-consul-knownleader", "false");
      response.setHeader("x-consul-query-backend", backend).end("[]");
    } else response.writeHead(500).end("No cluster leader");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const link = new ConsulLink({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
  onTestFinished(() => link.close());
  return {
    link,
    transactions: () => transactions,
    loseLeader: () => {
      hasLeader = false;
    },
  };
}

test("a write that was sent before the leader was lost has an unknown outcome", async () => {
  const { link, transactions, loseLeader } = await startSilentAgent();
  const writing = errorOf(writeKey(link, "a", new Uint8Array(), 0, "write a"));
  await expect.poll(transactions).toBe(1);
  loseLeader();
  await errorOf(readKeys(link, "b", "read b"));
  expect(await writing).toMatchObject({ code: "unavailable", outcome: "unknown" });
  // The next one is not sent.
  const next = await errorOf(writeKey(link, "a", new Uint8Array(), 0, "write a"));
  expect(next).toMatchObject({ code: "unavailable", outcome: "not-executed" });
  expect(transactions()).toBe(1);
});

test("a write that was sent before the connection is closed has an unknown outcome", async () => {
  const { link, transactions } = await startSilentAgent();
  const writing = errorOf(writeKey(link, "a", new Uint8Array(), 0, "write a"));
  await expect.poll(transactions).toBe(1);
  await link.close();
  expect(await writing).toMatchObject({ code: "unavailable", outcome: "unknown" });
});

test("a response from a stream is read, and one of a server that is cut off is not", async () => {
  const { link } = await startSilentAgent();
  const read = (name: string) => link.call({ path: `health/service/${name}`, stale: true }, "read");
  expect(await read("streamed")).toMatchObject({ status: 200, text: "[]" });
  expect(await errorOf(read("cut-off"))).toMatchObject({ code: "unavailable" });
});
