import assert from "node:assert/strict";
import type { MicroError } from "@micro-es/runtime";
import { echo } from "../support/echo.ts";
import type { ContractCase } from "./contract.ts";
import { dialContract } from "./transport-dial.ts";
import {
  type Answers,
  answering,
  cancellation,
  failure,
  gate,
  onLink,
  outgoing,
  type TransportUnderTest,
  until,
} from "./transport-fixture.ts";

/** The behaviour of every transport when it starts and closes. */
export function lifecycleContract(under: TransportUnderTest): readonly ContractCase[] {
  return [
    {
      name: "accepts its own addresses",
      run: async () => {
        const transport = under.create();
        assert.ok(transport.accepts(under.nowhere));
        for (const address of [
          "",
          "nonsense",
          under.foreign ?? "http://example.com/",
          "a:b:c",
          "x:99999",
          "a b:1",
        ]) {
          assert.equal(transport.accepts(address), false, address);
          await failure(transport.dial(address), "invalid_argument", "not-executed");
          await failure(
            transport.listen(address, answering({})),
            "invalid_argument",
            "not-executed",
          );
        }
      },
    },
    ...dialContract(under),
    {
      name: "cannot listen at an address in use, and can once it is free",
      run: () =>
        onLink(under, { unary: () => ({}) }, async ({ transport, listener, channel }) => {
          const again = transport.listen(listener.address, answering({}));
          const error = await failure(again, "already_exists", "not-executed");
          assert.ok(error.message.includes(listener.address), error.message);
          await channel.unary(echo.echo, {}, outgoing());
          await listener.close();
          const next = await transport.listen(listener.address, answering({}));
          assert.equal(next.address, listener.address);
          await next.close();
        }),
    },
    {
      name: "serves many channels, and counts connections and calls",
      run: () => {
        const finish = gate();
        return onLink(
          under,
          { unary: (request) => finish.promise.then(() => ({ text: request.text })) },
          async ({ transport, listener }) => {
            const channels = await Promise.all(
              Array.from({ length: 20 }, () => transport.dial(listener.address)),
            );
            await until(() => listener.connections === 21);
            const answers = channels.map((channel, index) =>
              channel.unary(echo.echo, { text: `${index}` }, outgoing()),
            );
            await until(() => listener.openCalls === 20);
            finish.open();
            for (const [index, answer] of (await Promise.all(answers)).entries()) {
              assert.equal(answer.text, `${index}`);
            }
            await Promise.all(channels.map((channel) => channel.close()));
            await until(() => listener.connections === 1);
          },
        );
      },
    },
    {
      name: "refuses connections beyond its limit",
      run: () =>
        onLink(
          under,
          {},
          async ({ transport, listener }) => {
            const error = await failure(
              transport.dial(listener.address),
              "unavailable",
              "not-executed",
            );
            assert.match(error.message, /maxConnections/);
          },
          { limits: { maxConnections: 1 } },
        ),
    },
    {
      name: "drains: finishes open calls, refuses new ones, and notifies the callers",
      run: () => {
        const begun = gate();
        const finish = gate();
        return onLink(
          under,
          {
            unary: async () => {
              begun.open();
              await finish.promise;
              return { text: "finished" };
            },
          },
          async ({ transport, listener, channel }) => {
            const idle = await transport.dial(listener.address);
            const open = channel.unary(echo.echo, {}, outgoing());
            await begun.promise;
            let drained = false;
            const draining = listener.drain().then(() => {
              drained = true;
            });
            const crossing = channel.unary(echo.echo, {}, outgoing());
            await failure(crossing, "unavailable", "not-executed");
            await until(() => channel.state === "draining");
            await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "not-executed");
            await failure(transport.dial(listener.address), "unavailable", "not-executed");
            assert.ok(await idle.closed);
            assert.equal(drained, false);
            finish.open();
            assert.equal((await open).text, "finished");
            await draining;
            await listener.drain();
            assert.equal((await channel.closed)?.code, "unavailable");
            assert.equal(channel.state, "closed");
          },
        );
      },
    },
    {
      name: "serves or refuses calls that cross its draining, and leaves no outcome in doubt",
      run: async () => {
        for (let round = 0; round < 10; round++) {
          const answers: Answers = { unary: ({ text }) => ({ text }) };
          await onLink(under, answers, async ({ listener, channel }) => {
            await channel.unary(echo.echo, { text: "before" }, outgoing());
            const closing = listener.drain().then(() => listener.close());
            const crossing = [1, 2, 3].map(() => channel.unary(echo.echo, {}, outgoing()));
            for (const end of await Promise.allSettled(crossing)) {
              if (end.status === "rejected") assert.equal(end.reason.outcome, "not-executed");
            }
            await closing;
          });
        }
      },
    },
    {
      name: "cancels open calls when a listener closes, with an unknown outcome for the caller",
      run: () => {
        const begun = gate();
        const cancelled = gate<MicroError>();
        return onLink(
          under,
          {
            unary: (_request, call) => {
              cancellation(call).then(cancelled.open);
              begun.open();
              return new Promise(() => undefined);
            },
          },
          async ({ listener, channel }) => {
            const call = failure(
              channel.unary(echo.echo, {}, outgoing()),
              "unavailable",
              "unknown",
            );
            await begun.promise;
            await Promise.all([listener.close(), listener.close()]);
            await call;
            await cancelled.promise;
            assert.equal(listener.connections, 0);
            assert.equal((await channel.closed)?.code, "unavailable");
            await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "not-executed");
          },
        );
      },
    },
    {
      name: "gives open calls the grace period of a close, and no more",
      run: () => {
        const begun = [gate(), gate()];
        const finish = gate();
        return onLink(
          under,
          {
            unary: (request) => {
              begun[request.count]?.open();
              if (request.count === 1) return new Promise(() => undefined);
              return finish.promise.then(() => ({ text: "finished" }));
            },
          },
          async ({ listener, channel }) => {
            const ends = channel.unary(echo.echo, { count: 0 }, outgoing());
            const never = failure(
              channel.unary(echo.echo, { count: 1 }, outgoing()),
              "unavailable",
              "unknown",
            );
            await Promise.all(begun.map((each) => each.promise));
            const closing = listener.close(200);
            finish.open();
            assert.equal((await ends).text, "finished");
            await never;
            await closing;
          },
        );
      },
    },
    {
      name: "closes a channel: its calls are cancelled, none begins, and closing again has no effect",
      run: () => {
        const begun = gate();
        const cancelled = gate<MicroError>();
        return onLink(
          under,
          {
            unary: (_request, call) => {
              cancellation(call).then(cancelled.open);
              begun.open();
              return new Promise(() => undefined);
            },
          },
          async ({ transport, listener }) => {
            const channel = await transport.dial(listener.address);
            assert.equal(channel.state, "open");
            assert.equal(channel.address, listener.address);
            const call = failure(channel.unary(echo.echo, {}, outgoing()), "canceled", "unknown");
            await begun.promise;
            await Promise.all([channel.close(), channel.close(5000)]);
            await call;
            await cancelled.promise;
            assert.equal(channel.state, "closed");
            assert.equal(await channel.closed, undefined);
            await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "not-executed");
            const stream = channel.stream(echo.chat, [], outgoing());
            await failure(stream[Symbol.asyncIterator]().next(), "unavailable", "not-executed");
            await until(() => listener.connections === 1);
          },
        );
      },
    },
    {
      name: "lets a channel's calls end within its grace",
      run: () => {
        const begun = gate();
        const finish = gate();
        return onLink(
          under,
          {
            unary: async () => {
              begun.open();
              await finish.promise;
              return { text: "finished" };
            },
          },
          async ({ transport, listener }) => {
            const channel = await transport.dial(listener.address);
            const call = channel.unary(echo.echo, {}, outgoing());
            await begun.promise;
            const closing = channel.close(10_000);
            assert.equal(channel.state, "draining");
            await failure(channel.unary(echo.echo, {}, outgoing()), "unavailable", "not-executed");
            finish.open();
            assert.equal((await call).text, "finished");
            await closing;
          },
        );
      },
    },
    {
      name: "leaves no handle behind",
      run: async () => {
        const before = handles();
        await onLink(
          under,
          {
            unary: () => ({}),
            async *stream() {
              yield {};
            },
          },
          async ({ transport, listener, channel }) => {
            await channel.unary(echo.echo, {}, outgoing());
            for await (const _ of channel.stream(echo.chat, [{}], outgoing()));
            await Promise.all(
              Array.from({ length: 10 }, async () => {
                const other = await transport.dial(listener.address);
                await other.unary(echo.echo, {}, outgoing());
                await other.close();
              }),
            );
          },
        );
        await until(() => handles().every(([name, count]) => count <= countOf(before, name)));
      },
    },
  ];
}

type Handles = readonly (readonly [name: string, count: number])[];

/** The handles that keep the process alive, except for the wait itself. */
function handles(): Handles {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    if (name !== "Timeout" && name !== "Immediate") counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts];
}

function countOf(counted: Handles, name: string): number {
  return counted.find(([each]) => each === name)?.[1] ?? 0;
}
