import { MicroError, type Store } from "@micro-es/runtime";

/** Reads the value of a key as JSON; undefined if there is none. */
export async function readRecord<T>(store: Store, key: string): Promise<T | undefined> {
  const record = await store.read(key);
  return record === undefined
    ? undefined
    : (JSON.parse(new TextDecoder().decode(record.value)) as T);
}

export async function writeRecord<T>(store: Store, key: string, value: T): Promise<void> {
  await store.write(key, encode(value));
}

/**
 * Replaces the value of a key with the result of `change`; retries if another node was faster.
 * `undefined` leaves the value unchanged.
 */
export async function changeRecord<T>(
  store: Store,
  key: string,
  change: (value: T | undefined) => T | undefined,
): Promise<void> {
  for (;;) {
    const record = await store.read(key);
    const text = new TextDecoder().decode(record?.value);
    const next = change(record === undefined ? undefined : (JSON.parse(text) as T));
    if (next === undefined) return;
    try {
      await store.write(key, encode(next), { ifVersion: record?.version ?? 0n });
      return;
    } catch (error) {
      if (!(error instanceof MicroError) || error.code !== "aborted") throw error;
    }
  }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
