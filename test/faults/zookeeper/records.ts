import { asMicroError, MicroError } from "@micro-es/runtime";
import { ZooKeeperLink, type ZooKeeperOptions } from "@micro-es/zookeeper";
import { ensurePath, orAbsent } from "../../../drivers/zookeeper/src/link/tree.ts";
import { create, getData, setData, sync } from "../../../drivers/zookeeper/src/wire/operations.ts";
import type { Records } from "../coordination/server.ts";

interface Content {
  readonly value: string;
  /** The largest token that it was written with, by lock. */
  readonly fences: Readonly<Record<string, number>>;
}

interface Found {
  /** Undefined for a znode that does not exist. */
  readonly version: number | undefined;
  readonly revision: bigint;
  readonly content: Content;
}

const acl = [{ permissions: 31, scheme: "world", id: "anyone" }];
const none: Found = { version: undefined, revision: 0n, content: { value: "", fences: {} } };

/**
 * Records in ZooKeeper's znodes, as an application keeps them that fences its writes: a znode holds
 * the tokens and the value, which change together.
 */
export function zooKeeperRecords(options: ZooKeeperOptions): Records {
  const link = new ZooKeeperLink(options);
  const pathOf = (key: string) => `/records/${encodeURIComponent(key)}`;
  let isPrepared = false;
  const find = async (key: string): Promise<Found> => {
    const path = pathOf(key);
    // A write that is cut off from its responses could not create it.
    if (!isPrepared) await ensurePath(link, "/records", acl, `read ${key}`);
    isPrepared = true;
    const found = await orAbsent(link.callAll([sync(path), getData(path)], `read ${key}`));
    if (found === undefined) return none;
    const [, { data, stat }] = found;
    const content = JSON.parse(data.toString()) as Content;
    return { version: stat.version, revision: stat.mzxid, content };
  };
  /** @returns the revision; undefined if another client was faster. */
  const put = async (key: string, content: Content, { version }: Found) => {
    const path = pathOf(key);
    const data = Buffer.from(JSON.stringify(content));
    const what = `write ${key}`;
    for (;;) {
      try {
        if (version !== undefined)
          return (await link.call(setData(path, data, version), what)).mzxid;
        return (await link.call(create({ path, data, acl }), what)).stat.mzxid;
      } catch (error) {
        const { code } = asMicroError(error);
        if (code === "aborted" || code === "already_exists") return undefined;
        if (code !== "not_found" || version !== undefined) throw error;
        await ensurePath(link, "/records", acl, what);
      }
    }
  };
  const close = () => link.close();
  return {
    async read(key) {
      const { version, revision, content } = await find(key);
      if (version === undefined) return undefined;
      const value = Buffer.from(content.value);
      return { key, value, version: revision, expiresAt: undefined, metadata: {} };
    },
    async write(key, value, { fence } = {}) {
      // At first as if there were none: a response that is lost must be that of the write.
      let found = fence === undefined ? none : await find(key);
      for (;;) {
        const fences = { ...found.content.fences };
        if (fence !== undefined) {
          const token = Number(fence.token);
          if ((fences[fence.lock] ?? 0) > token) {
            throw new MicroError("aborted", `${key} was written with a larger token`, {
              outcome: "not-executed",
            });
          }
          fences[fence.lock] = token;
        }
        const content: Content = { value: Buffer.from(value).toString(), fences };
        const revision = await put(key, content, found);
        if (revision !== undefined) return revision;
        found = await find(key);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
