import { ConsulLink, type ConsulOptions } from "@micro-es/consul";
import { MicroError } from "@micro-es/runtime";
import { readKeys, writeKey } from "../../../drivers/consul/src/link/keys.ts";
import type { Records } from "../coordination/server.ts";

interface Content {
  readonly value: string;
  /** The largest token that it was written with, by lock. */
  readonly fences: Readonly<Record<string, number>>;
}

/**
 * Records in Consul's keys, as an application keeps them that fences its writes: a key holds the
 * tokens and the value, which change together.
 */
export function consulRecords(options: ConsulOptions): Records {
  const link = new ConsulLink(options);
  const find = async (key: string) => {
    const what = `read ${key}`;
    const { entries } = await readKeys(link, `records/${key}`, what, { isConsistent: true });
    const [entry] = entries;
    return {
      index: entry?.modified ?? 0,
      content: entry === undefined ? none : parse(entry.value),
    };
  };
  const close = () => link.close();
  return {
    async read(key) {
      const { index, content } = await find(key);
      return index === 0
        ? undefined
        : {
            key,
            value: Buffer.from(content.value),
            version: BigInt(index),
            expiresAt: undefined,
            metadata: {},
          };
    },
    async write(key, value, { fence } = {}) {
      // At first as if there were none: a response that is lost must be that of the write.
      let found = fence === undefined ? { index: 0, content: none } : await find(key);
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
        const bytes = Buffer.from(JSON.stringify(content));
        const index = await writeKey(link, `records/${key}`, bytes, found.index, `write ${key}`);
        if (index !== undefined) return BigInt(index);
        found = await find(key);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const none: Content = { value: "", fences: {} };

function parse(bytes: Uint8Array): Content {
  return JSON.parse(Buffer.from(bytes).toString()) as Content;
}
