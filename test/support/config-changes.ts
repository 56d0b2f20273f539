import type { ConfigSource } from "@micro-es/runtime";
import { expect } from "vitest";

/**
 * Values that are written together are visible together.
 * @param put writes the number of a turn to `a` and to other values.
 */
export async function changesTogether(
  source: ConfigSource,
  put: (turn: number) => Promise<unknown>,
  turns: number,
): Promise<void> {
  const changes = source.watch!()[Symbol.asyncIterator]();
  await source.load();
  const writing = (async () => {
    for (let turn = 1; turn <= turns; turn++) await put(turn);
  })();
  for (let last = 0; last < turns; ) {
    const { value } = await changes.next();
    expect(new Set(Object.values(value)).size).toBe(1);
    last = Number(value.a);
  }
  await writing;
  await changes.return?.();
}

/**
 * The deletion of the last value is a change.
 * @param remove deletes `only`, which is 1.
 */
export async function changesToNothing(
  source: ConfigSource,
  remove: () => Promise<unknown>,
): Promise<void> {
  const changes = source.watch!()[Symbol.asyncIterator]();
  expect(await source.load()).toEqual({ only: 1 });
  const next = changes.next();
  await remove();
  expect((await next).value).toEqual({});
  await changes.return?.();
}
