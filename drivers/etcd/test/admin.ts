import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What an operator does to an etcd, or its own tool: requests by its JSON gateway, past the driver
 * under test.
 */
export class EtcdAdmin {
  readonly #url: string;
  readonly #who: { readonly user: string; readonly password: string } | undefined;

  /** @param who authenticates each request, where etcd has users. */
  constructor(url: string, who?: { readonly user: string; readonly password: string }) {
    this.#url = url;
    this.#who = who;
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

  /** The number of keys with a prefix, whose last character is ASCII. */
  async count(prefix: string): Promise<number> {
    const last = prefix.charCodeAt(prefix.length - 1) + 1;
    const end = `${prefix.slice(0, -1)}${String.fromCharCode(last)}`;
    const range = { key: base64(prefix), range_end: base64(end), count_only: true };
    const { count } = await this.#post("kv/range", range);
    return Number(count ?? 0);
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

  /** The ids of this member and of its leader. */
  async status(): Promise<{ readonly member: string; readonly leader: string }> {
    const { header, leader } = await this.#post("maintenance/status", {});
    return { member: (header as { member_id: string }).member_id, leader: leader as string };
  }

  /** Hands the leadership of this member over to another one. */
  async transferLeadership(targetID: string): Promise<void> {
    await this.#post("maintenance/transfer-leadership", { targetID });
  }

  async #post(path: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    if (this.#who === undefined) return this.#send(path, body, {});
    const { user: name, password } = this.#who;
    const { token } = await this.#send("auth/authenticate", { name, password }, {});
    return this.#send(path, body, { authorization: token as string });
  }

  async #send(
    path: string,
    body: object,
    headers: Readonly<Record<string, string>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(`${this.#url}/v3/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd responded ${response.status} to ${path}: ${text}`);
    return JSON.parse(text);
  }
}

/**
 * Moves the leadership of a cluster to another of these members.
 * @returns the URLs of the previous leader and of the next.
 */
export async function moveLeader(urls: readonly string[]): Promise<readonly [string, string]> {
  for (;;) {
    const found = await Promise.all(
      urls.map(async (url) => ({ url, ...(await new EtcdAdmin(url).status()) })),
    );
    const leader = found.find((each) => each.member === each.leader);
    const next = found.find((each) => each !== leader);
    if (leader !== undefined && next !== undefined) {
      await new EtcdAdmin(leader.url).transferLeadership(next.member);
      return [leader.url, next.url];
    }
    await sleep(50);
  }
}

function base64(text: string | Uint8Array): string {
  return Buffer.from(text as string).toString("base64");
}
