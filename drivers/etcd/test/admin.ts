import { Buffer } from "node:buffer";

/**
 * What an operator does to an etcd, or its own tool: requests by its JSON gateway, past the driver
 * under test.
 */
export class EtcdAdmin {
  readonly #url: string;
  readonly #token: string | undefined;

  constructor(url: string, token?: string) {
    this.#url = url;
    this.#token = token;
  }

  async put(key: string, value: string | Uint8Array): Promise<void> {
    await this.#post("kv/put", { key: base64(key), value: base64(value) });
  }

  async putAll(entries: readonly (readonly [key: string, value: string])[]): Promise<void> {
    // A transaction has 128 operations at most.
    for (let from = 0; from < entries.length; from += 100) {
      const success = entries.slice(from, from + 100).map(([key, value]) => {
        return { requestPut: { key: base64(key), value: base64(value) } };
      });
      await this.#post("kv/txn", { success });
    }
  }

  async delete(key: string): Promise<void> {
    await this.#post("kv/deleterange", { key: base64(key) });
  }

  /** The value of a key, and the lease that it ends with. */
  async get(key: string): Promise<{ value: string; lease: string } | undefined> {
    const { kvs } = await this.#post("kv/range", { key: base64(key) });
    const [kv] = (kvs ?? []) as { value: string; lease?: string }[];
    if (kv === undefined) return undefined;
    return { value: Buffer.from(kv.value, "base64").toString(), lease: kv.lease ?? "0" };
  }

  async revoke(lease: string): Promise<void> {
    await this.#post("lease/revoke", { ID: lease });
  }

  /** The leases that there are. */
  async leases(): Promise<readonly string[]> {
    const { leases } = await this.#post("lease/leases", {});
    return ((leases ?? []) as { ID: string }[]).map(({ ID }) => ID);
  }

  /** Forgets the history of changes up to now. */
  async compact(): Promise<void> {
    const { header } = await this.#post("kv/range", { key: base64("x") });
    const { revision } = header as { revision: string };
    await this.#post("kv/compaction", { revision });
  }

  /** Switches authentication on, with `root` and a user who may use keys that begin with `/`. */
  async secure(user: string, password: string): Promise<void> {
    await this.#post("auth/user/add", { name: "root", password });
    await this.#post("auth/role/add", { name: "root" });
    await this.#post("auth/user/grant", { user: "root", role: "root" });
    await this.#post("auth/user/add", { name: user, password });
    await this.#post("auth/role/add", { name: "fleet" });
    const perm = { permType: "READWRITE", key: base64("/"), range_end: base64("0") };
    await this.#post("auth/role/grant", { name: "fleet", perm });
    await this.#post("auth/user/grant", { user, role: "fleet" });
    await this.#post("auth/enable", {});
  }

  async #post(path: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(`${this.#url}/v3/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...(this.#token === undefined ? {} : { headers: { authorization: this.#token } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd responded ${response.status} to ${path}: ${text}`);
    return JSON.parse(text);
  }
}

function base64(text: string | Uint8Array): string {
  return Buffer.from(text as string).toString("base64");
}
