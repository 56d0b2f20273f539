import { Metadata, MicroError, tcpTransport } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { outgoing } from "../support/server.ts";
import { methods, startGuardedServer } from "./guarded-server.ts";

test("requests that wait count against their connection, and are forgotten with their calls", async () => {
  const limits = { streamWindowBytes: 1_024, maxMessageBytes: 64 * 1024 };
  const transport = tcpTransport(limits);
  await using guarded = await startGuardedServer(transport, "127.0.0.1:0");
  const channel = await transport.dial(guarded.listener.address);
  const payload = new Uint8Array(60 * 1024);
  let refusals = 0;
  const call = (token: string, signal?: AbortSignal) => {
    const metadata = new Metadata({ authorization: `Bearer ${token}` });
    return channel
      .unary(methods.any, { text: "served", payload }, outgoing({ metadata, signal }))
      .then(
        ({ text }) => text,
        (reason) => {
          if (!(reason instanceof MicroError)) throw reason;
          if (reason.code === "resource_exhausted") refusals++;
          return `${reason.code} ${reason.outcome}`;
        },
      );
  };
  const many = (token: string, signal?: AbortSignal) =>
    Promise.all(Array.from({ length: 40 }, () => call(token, signal)));
  // A connection may hold 1 MiB: 17 of these requests.
  const held = 17;
  const release = guarded.auth.hold();
  const controller = new AbortController();
  const cancelled = many(guarded.auth.issue(), controller.signal);
  await expect.poll(() => refusals).toBe(40 - held);
  expect(guarded.listener.openCalls).toBe(held);
  controller.abort();
  expect(await cancelled).toContain("resource_exhausted not-executed");
  await expect.poll(() => guarded.listener.openCalls).toBe(0);
  const token = guarded.auth.issue();
  const waiting = many(token);
  await expect.poll(() => refusals).toBe(2 * (40 - held));
  release();
  const results = await waiting;
  expect(results.filter((result) => result === "served")).toHaveLength(held);
  expect(await many(token)).toEqual(Array.from({ length: 40 }, () => "served"));
  await channel.close();
});
