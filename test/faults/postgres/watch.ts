import { setTimeout as sleep } from "node:timers/promises";
import { postgresStore } from "@micro-es/postgres";
import type { Store } from "@micro-es/runtime";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../../../drivers/postgres/test/server.ts";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

const change = "select * from micro.store_change($1, $2, null, null, null, null, null, 0)";

/** What a watch has told, folded. */
class Folded {
  readonly versions = new Map<string, bigint>();
  snapshots = 0;
  /** Versions of a key after later ones of the key. */
  backwards = 0;
  /** Versions after later ones of other keys: transactions that ended in another order. */
  overtaken = 0;
  #newest = 0n;
  readonly #newestOf = new Map<string, bigint>();

  async follow(store: Store, signal: AbortSignal): Promise<void> {
    for await (const event of store.watch({ signal })) {
      if (event.type === "deleted") this.versions.delete(event.key);
      else if (event.type === "written") this.#see(event.record);
      else {
        this.snapshots++;
        this.versions.clear();
        for (const record of event.records) this.#see(record);
        this.#newest = 0n;
      }
    }
  }

  #see({ key, version }: { readonly key: string; readonly version: bigint }): void {
    if (version < (this.#newestOf.get(key) ?? 0n)) this.backwards++;
    else this.#newestOf.set(key, version);
    if (version < this.#newest) this.overtaken++;
    else this.#newest = version;
    this.versions.set(key, version);
  }
}

/** Transactions end in any order, the connections of a watch are ended, and its history is cut. */
export async function watchesFold(length: Length): Promise<Figure> {
  const changes = length === "long" ? 100_000 : 3_000;
  await using server = await startPostgres();
  await using store = postgresStore({ ...server.options, timeoutMs: 20_000 });
  await store.write("first", Buffer.from("v"));
  const folded = new Folded();
  const ending = new AbortController();
  const following = folded.follow(store, ending.signal);
  let isOver = false;
  let [ended, trims] = [0, 0];
  const breaking = (async () => {
    while (!isOver) {
      await sleep(300);
      ended += await endConnections(server);
      if (++trims % 4 === 0) await cutHistory(server);
    }
  })();
  await Promise.all(Array.from({ length: 8 }, () => writer(server, changes / 8)));
  isOver = true;
  await breaking;
  await until(async () => (await truth(server)).same(folded), 20_000);
  const isSame = (await truth(server)).same(folded);
  ending.abort();
  await following;
  return {
    id: "W1",
    recipe: `${changes} changes in transactions that end in any order, ${ended} connections of the watch ended meanwhile, and its history cut`,
    found: `the folded watch ${isSame ? "is" : "is not"} the list, ${folded.backwards} versions back in time, ${folded.snapshots} snapshots, ${folded.overtaken} versions that others overtook`,
    bound: "is, 0, more than 1, more than 0 (both take effect)",
    holds: isSame && folded.backwards === 0 && folded.snapshots > 1 && folded.overtaken > 0,
  };
}

/** Changes keys, each in a transaction that waits before it commits. */
async function writer(server: PostgresServer, count: number): Promise<void> {
  const { user, database } = server.options;
  const client = new pg.Client({ host: "127.0.0.1", port: server.port, user, database });
  await client.connect();
  try {
    for (let turn = 0; turn < count; turn++) {
      const value = Math.random() < 0.2 ? null : Buffer.from(`${turn}`);
      await client.query("begin");
      await client.query(change, [Buffer.from(`key ${Math.floor(200 * Math.random())}`), value]);
      if (Math.random() < 0.3) await sleep(10 * Math.random());
      await client.query(Math.random() < 0.1 ? "rollback" : "commit");
    }
  } finally {
    await client.end();
  }
}

async function endConnections(server: PostgresServer): Promise<number> {
  const rows = await server.run(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'micro-es'",
  );
  return rows.length;
}

/** Removes changes as the store does, only earlier. */
async function cutHistory(server: PostgresServer): Promise<void> {
  await server.run(`
    with gone as (delete from micro.store_changes returning xid)
    update micro.store_state set trimmed = xid
    from (select xid from gone order by xid desc limit 1) last where trimmed < xid`);
}

async function truth(server: PostgresServer) {
  const rows = await server.run(
    "select convert_from(key, 'UTF8') as key, version from micro.store where value is not null",
  );
  return {
    same: ({ versions }: Folded) =>
      rows.length === versions.size &&
      rows.every(({ key, version }) => versions.get(`${key}`) === BigInt(`${version}`)),
  };
}

/** The connections of a watch fall silent. */
export async function silentWatch(): Promise<Figure> {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.port);
  await using direct = postgresStore(server.options);
  const place = { ...server.options, servers: `127.0.0.1:${proxy.port}` };
  await using store = postgresStore({ ...place, timeoutMs: 2_000 });
  await direct.write("key", Buffer.from("1"));
  const folded = new Folded();
  const ending = new AbortController();
  const following = folded.follow(store, ending.signal);
  await until(() => folded.versions.size === 1, 20_000);
  proxy.swallow(true);
  const noticedMs = await until(() => store.state === "lost", 30_000);
  const version = await direct.write("key", Buffer.from("2"));
  proxy.swallow(false);
  proxy.cut();
  const resyncedMs = await until(() => folded.versions.get("key") === version, 30_000);
  ending.abort();
  await following;
  return {
    id: "W2",
    recipe: "the connections of a watch fall silent, and work again after that is noticed",
    found: `noticed after ${Math.round(noticedMs)} ms, what was missed reported ${Math.round(resyncedMs)} ms after they work`,
    bound:
      "15,000 ms (a probe each 2 s, 4 s of silence, and an attempt to connect of 2 s); 6,000 ms",
    holds: noticedMs <= 15_000 && resyncedMs <= 6_000,
  };
}
