import assert from "node:assert/strict";
import { type ConfigSource, MicroError } from "@micro-es/runtime";
import type { ConfigTable } from "@micro-es/runtime/driver";
import { abortAt, abortMoments } from "./abort-moments.ts";
import type { ContractCase } from "./contract.ts";

/** A source under test, and control over its data. */
export interface ConfigSourceFixture {
  readonly source: ConfigSource;
  /** The initial values of the source. */
  readonly initial: ConfigTable;
  /** Changes the values of the source; absent for one that never changes. */
  change?(values: ConfigTable): Promise<void>;
  /** Makes the source unreadable or invalid; absent if that is impossible. */
  spoil?(): Promise<void>;
  cleanUp?(): Promise<void>;
}

/**
 * The behaviour of every config source.
 * @param create creates a new source for every case.
 */
export function configSourceContract(
  create: () => Promise<ConfigSourceFixture>,
): readonly ContractCase[] {
  const withSource = (
    name: string,
    run: (fixture: ConfigSourceFixture) => Promise<void>,
  ): ContractCase => ({
    name,
    async run() {
      const fixture = await create();
      try {
        await run(fixture);
      } finally {
        await fixture.source.close();
        await fixture.cleanUp?.();
      }
    },
  });
  const watched = (
    name: string,
    run: (fixture: Required<ConfigSourceFixture>) => Promise<void>,
  ): ContractCase =>
    withSource(name, async (fixture) => {
      if (fixture.source.watch !== undefined) await run(fixture as Required<ConfigSourceFixture>);
    });
  return [
    withSource("loads the existing values, deeply frozen", async ({ source, initial }) => {
      const values = await source.load();
      assert.deepEqual(values, initial);
      assertFrozen(values);
      assert.equal(source.state, "healthy");
      assert.notEqual(source.name, "");
    }),
    withSource("can change if and only if it can be watched", async ({ source, change }) => {
      assert.equal(source.watch === undefined, change === undefined);
      assert.equal(source.guarantees.watch, source.watch !== undefined);
    }),
    withSource("closes more than once", async ({ source }) => {
      await source.load();
      await Promise.all([source.close(), source.close()]);
      await source[Symbol.asyncDispose]();
    }),
    withSource(
      "ends a load and a watch whose signal aborts while they are set up",
      async ({ source, initial }) => {
        for (const moment of abortMoments) {
          await abortAt(moment, (signal) => source.load({ signal }), { leaves: false });
          if (source.watch === undefined) continue;
          const controller = new AbortController();
          const { signal } = controller;
          const changes = source.watch({ signal })[Symbol.asyncIterator]();
          const next = changes.next();
          await moment.reached();
          controller.abort();
          // A load without a result may leave the first state to the watcher.
          const first = await next;
          const last = first.done === true ? first : await changes.next();
          assert.equal(last.done, true, moment.name);
        }
        assert.deepEqual(await source.load(), initial);
      },
    ),
    watched("loads changed values again", async ({ source, change }) => {
      await source.load();
      await change({ a: "new", b: { c: "deep" } });
      assert.deepEqual(await source.load(), { a: "new", b: { c: "deep" } });
    }),
    watched("reports changes, and not the values from before", async ({ source, change }) => {
      const changes = source.watch!()[Symbol.asyncIterator]();
      await source.load();
      await change({ a: "new" });
      const first = await changes.next();
      assert.deepEqual(first.value, { a: "new" });
      assertFrozen(first.value);
      await change({ a: "newer" });
      assert.deepEqual((await changes.next()).value, { a: "newer" });
      await changes.return?.();
    }),
    watched("reports only the last state to a slow reader", async ({ source, change }) => {
      const changes = source.watch!()[Symbol.asyncIterator]();
      await source.load();
      for (let i = 0; i < 10; i++) await change({ a: String(i) });
      for (;;) {
        const { value } = await changes.next();
        if (value.a === "9") break;
      }
      await changes.return?.();
    }),
    watched("reports to every reader", async ({ source, change }) => {
      const readers = [1, 2, 3].map(() => source.watch!()[Symbol.asyncIterator]());
      await source.load();
      await change({ a: "new" });
      for (const reader of readers) {
        assert.deepEqual((await reader.next()).value, { a: "new" });
        await reader.return?.();
      }
    }),
    watched(
      "ends a watch with its signal, with its reader and with the source",
      async (fixture) => {
        const { source } = fixture;
        const controller = new AbortController();
        const bySignal = source.watch!({ signal: controller.signal })[Symbol.asyncIterator]();
        const waiting = bySignal.next();
        controller.abort();
        assert.equal((await waiting).done, true);
        assert.equal((await bySignal.next()).done, true);
        const late = source.watch!({ signal: AbortSignal.abort() })[Symbol.asyncIterator]();
        assert.equal((await late.next()).done, true);
        const byClose = source.watch!()[Symbol.asyncIterator]();
        const pending = byClose.next();
        await source.close();
        assert.equal((await pending).done, true);
      },
    ),
    watched("keeps reporting after it was invalid for a while", async (fixture) => {
      const { source, change, spoil } = fixture;
      if (spoil === undefined) return;
      const states: string[] = [];
      const degraded = new Promise<MicroError | undefined>((resolve) => {
        source.onStateChange((state, reason) => {
          states.push(state);
          if (state !== "healthy") resolve(reason);
        });
      });
      const changes = source.watch!()[Symbol.asyncIterator]();
      await source.load();
      await spoil();
      const reason = await degraded;
      assert.ok(reason instanceof MicroError);
      await assert.rejects(() => source.load(), MicroError);
      await change({ a: "sound" });
      assert.deepEqual((await changes.next()).value, { a: "sound" });
      assert.equal(source.state, "healthy");
      assert.equal(states.at(-1), "healthy");
      await changes.return?.();
    }),
    watched("survives a state listener that throws", async ({ source, change, spoil }) => {
      if (spoil === undefined) return;
      const warned = new Promise((resolve) => process.once("warning", resolve));
      source.onStateChange(() => {
        throw new Error("a listener's mistake");
      });
      const changes = source.watch!()[Symbol.asyncIterator]();
      await source.load();
      await spoil();
      await warned;
      await change({ a: "sound" });
      assert.deepEqual((await changes.next()).value, { a: "sound" });
      await changes.return?.();
    }),
  ];
}

function assertFrozen(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const inner of Object.values(value)) assertFrozen(inner);
}
