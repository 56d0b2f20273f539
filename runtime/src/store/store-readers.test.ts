import { expect, test } from "vitest";
import type { StoreRecord } from "./store.ts";
import { StoreReaders } from "./store-readers.ts";

const keys = ["a.x", "b.y", "c.x", "d.x", "e.x"];
const record = (key: string): StoreRecord => {
  return { key, value: new Uint8Array(), version: 1n, expiresAt: undefined, metadata: {} };
};
async function* pages() {
  yield keys.slice(0, 3);
  yield [];
  yield keys.slice(3);
}
async function keysOf(records: AsyncIterable<StoreRecord>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { key } of records) found.push(key);
  return found;
}

test("lists the records with the suffix between offset and limit", async () => {
  const list = (options: object) => keysOf(new StoreReaders().list(options, pages, record));
  expect(await list({})).toEqual(keys);
  expect(await list({ suffix: ".x", offset: 1, limit: 2 })).toEqual(["c.x", "d.x"]);
  expect(await list({ offset: 5 })).toEqual([]);
});

test("reads nothing for a limit of 0", async () => {
  const read = () => {
    throw new Error("read");
  };
  expect(await keysOf(new StoreReaders().list({ limit: 0 }, read, record))).toEqual([]);
});

test("leaves out a record that expires while the reader pauses", async () => {
  let expired = "";
  const recordOf = (key: string) => (key === expired ? undefined : record(key));
  const records = new StoreReaders().list({}, pages, recordOf)[Symbol.asyncIterator]();
  expect((await records.next()).value?.key).toBe("a.x");
  expired = "b.y";
  expect((await records.next()).value?.key).toBe("c.x");
});

test.each([
  { limit: Number.POSITIVE_INFINITY, read: 1 },
  { limit: 1, read: 1 },
  { limit: Number.POSITIVE_INFINITY, read: keys.length },
])(
  "fails a listing when the store closes after record $read of $limit",
  async ({ limit, read }) => {
    const readers = new StoreReaders();
    const records = readers.list({ limit }, pages, record)[Symbol.asyncIterator]();
    for (let turn = 0; turn < read; turn++) await records.next();
    readers.end();
    const closed = { code: "unavailable", message: "cannot list the store: the store is closed" };
    await expect(records.next()).rejects.toMatchObject(closed);
    await expect(keysOf(readers.list({}, pages, record))).rejects.toMatchObject(closed);
  },
);

test.each([
  { when: "before it reads", page: [keys[0]!], reads: 0 },
  { when: "while it reads a page", page: [keys[0]!], reads: 1 },
  { when: "while it reads the end", page: [], reads: 1 },
])("fails a listing when the store closes $when", async ({ page, reads }) => {
  const readers = new StoreReaders();
  let read = 0;
  async function* pages() {
    read++;
    readers.end();
    yield page;
  }
  const records = readers.list({}, pages, record);
  if (reads === 0) readers.end();
  await expect(keysOf(records)).rejects.toMatchObject({ code: "unavailable" });
  expect(read).toBe(reads);
});

test("fails a listing when its signal fires", async () => {
  const abort = new AbortController();
  const records = new StoreReaders()
    .list({ signal: abort.signal }, pages, record)
    [Symbol.asyncIterator]();
  await records.next();
  abort.abort();
  await expect(records.next()).rejects.toMatchObject({ code: "canceled" });
});

test("ends watches with the store, those that begin later at once", async () => {
  const readers = new StoreReaders();
  const stopped: string[] = [];
  const begin = (name: string) => () => () => void stopped.push(name);
  const open = readers.watch({}, begin("open"))[Symbol.asyncIterator]();
  const late = readers.watch({}, begin("late"));
  const next = open.next();
  readers.end();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(await late[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  expect(stopped).toEqual(["open"]);
  expect(() => readers.watch({}, begin("never"))).toThrow(/cannot watch the store/);
});
