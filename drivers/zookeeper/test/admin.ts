import { asMicroError } from "@micro-es/runtime";
import { ZooKeeperLink } from "@micro-es/zookeeper";
import {
  type Acl,
  create,
  getChildren,
  getData,
  remove,
  type Stat,
  setData,
  transaction,
} from "../src/wire/operations.ts";

const acl: readonly Acl[] = [{ permissions: 31, scheme: "world", id: "anyone" }];

/** What an operator does to ZooKeeper, in a session other than that of the driver under test. */
export class ZooKeeperAdmin implements AsyncDisposable {
  readonly link: ZooKeeperLink;

  constructor(servers: string, options: ConstructorParameters<typeof ZooKeeperLink>[0] = {}) {
    this.link = new ZooKeeperLink({ servers, ...options });
  }

  /** Writes a znode, and creates it and those above it where they are missing. */
  async put(path: string, data: string | Uint8Array): Promise<void> {
    try {
      await this.link.call(setData(path, Buffer.from(data), -1), `write ${path}`);
    } catch (error) {
      if (asMicroError(error).code !== "not_found") throw error;
      const parent = path.slice(0, path.lastIndexOf("/"));
      if (parent !== "" && (await this.stat(parent)) === undefined) await this.put(parent, "");
      await this.create(path, data).catch((error: unknown) => {
        // Another call was faster.
        if (asMicroError(error).code !== "already_exists") throw error;
        return this.put(path, data);
      });
    }
  }

  async create(path: string, data: string | Uint8Array, isEphemeral = false): Promise<void> {
    await this.link.call(
      create({ path, data: Buffer.from(data), acl, isEphemeral }),
      `create ${path}`,
    );
  }

  /** Writes existing znodes in one transaction. */
  async putAll(values: Readonly<Record<string, string>>): Promise<void> {
    const writes = Object.entries(values).map(([path, data]) =>
      setData(path, Buffer.from(data), -1),
    );
    await this.link.call(transaction(writes), "write znodes");
  }

  async delete(path: string): Promise<void> {
    await this.link.call(remove(path, -1), `delete ${path}`);
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return (await this.#get(path))?.data;
  }

  async stat(path: string): Promise<Stat | undefined> {
    return (await this.#get(path))?.stat;
  }

  async children(path: string): Promise<readonly string[]> {
    const found = await this.link.call(getChildren(path), `list ${path}`);
    return [...found.children].sort();
  }

  close(): Promise<void> {
    return this.link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #get(path: string) {
    try {
      return await this.link.call(getData(path), `read ${path}`);
    } catch (error) {
      if (asMicroError(error).code === "not_found") return undefined;
      throw error;
    }
  }
}
