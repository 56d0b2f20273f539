import { MicroError, type Store } from "@micro-es/runtime";

/** Reads what stands under a key as JSON; undefined when nothing does. */
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
 * Changes what stands under a key, from what is there now to what `change` makes of it; begins again when another node
 * was faster. `undefined` leaves it as it is.
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
