import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker } from "@micro-es/nats";
import { type Outbox, postgresOutbox } from "@micro-es/postgres";
import { silentLogger } from "@micro-es/runtime";
import pg from "pg";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { type PostgresServer, startPostgres } from "../../../drivers/postgres/test/server.ts";
import { type Program, startProgram } from "../../support/argument-program.ts";
import { countInversions, type KeyedEvent } from "../check-order.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";

const relayFile = new URL("outbox-relay.ts", import.meta.url).href;
const topic = "orders";
const keys = 20;

/**
 * Relays are killed, and the broker and the database restarted, while transactions publish events;
 * what arrives is compared with the rows that the same transactions have written.
 */
export function outboxRelayed(length: Length): Promise<Figure> {
  return relayed(length === "long" ? 300_000 : 12_000, false);
}

/** Events are published outside of the transactions, which has to be noticed. */
export async function plantedOutbox(): Promise<Figure> {
  const figure = await relayed(2_000, true);
  return {
    ...figure,
    id: "X1-planted",
    bound: "events are published outside of their transactions, which X1 notices",
    holds: !figure.holds && /[1-9]\d* of transactions rolled back/.test(figure.found),
  };
}

async function relayed(forMs: number, isPlanted: boolean): Promise<Figure> {
  using scratch = scratchDirectory();
  const path = join(scratch.path, "relays.ledger");
  await using server = await startPostgres({ settings: { fsync: "on" } });
  await using nats = await startNats();
  await using outbox = postgresOutbox({ ...server.options, startTimeoutMs: 60_000 });
  await outbox.open();
  await server.run(`
    create table orders (key text, sequence bigint, primary key (key, sequence));
    create table counters (key text primary key, sequence bigint not null)`);
  await server.run(
    "insert into counters select 'key-' || n, 0 from generate_series(0, $1::int - 1) n",
    [keys],
  );
  await using broker = jetstreamBroker({ servers: nats.url, logger: silentLogger });
  const handled: string[] = [];
  const handler = ({ body }: { readonly body: Uint8Array }) =>
    void handled.push(Buffer.from(body).toString());
  await broker.subscribe(topic, handler, { queue: "ledger", maxDeliveries: 1_000 });
  const start = () => startProgram(relayFile, { options: server.options, nats: nats.url, path });
  const relays = [await start(), await start()];
  const made: Made = { committed: 0, rolledBack: 0 };
  const over = { isOver: false };
  const writing = [1, 2, 3, 4].map(() => writer(server, outbox, made, over, isPlanted));
  let [kills, restarts] = [0, 0];
  const ends = performance.now() + forMs;
  try {
    while (performance.now() < ends) {
      await sleep(200 + 400 * Math.random());
      const at = kills % relays.length;
      await (relays[at] as Program).kill();
      relays[at] = await start();
      kills++;
      if (isPlanted || kills % 3 !== 0) continue;
      const away = restarts++ % 2 === 0 ? nats : server;
      await away.stop("SIGKILL");
      await sleep(500 * Math.random());
      await away.start();
    }
    over.isOver = true;
    await Promise.all(writing);
    const rows = await server.run("select key || ' ' || sequence as text from orders");
    const truth = new Set(rows.map(({ text }) => `${text}`));
    const missing = () => [...truth].filter((text) => !seen().has(text)).length;
    const seen = () => new Set(handled);
    await until(async () => missing() === 0 && (await outbox.status()).waiting === 0, 60_000, 50);
    const ghosts = [...seen()].filter((text) => !truth.has(text)).length;
    const accepted = readLedgers<{ readonly text: string }>(scratch.path).map(({ text }) => text);
    const inversions = countInversions([...new Set(accepted)].map(keyed));
    const { waiting, parked } = await outbox.status();
    const [lost, repeated] = [missing(), accepted.length - new Set(accepted).size];
    return {
      id: "X1",
      recipe: `relays killed ${kills} times, broker and database killed ${restarts} times, while ${truth.size} transactions commit and ${made.rolledBack} roll back`,
      found: `${lost} events of ${truth.size} lost, ${ghosts} of transactions rolled back delivered, ${inversions} out of the order of their key, ${repeated} accepted again, ${waiting + parked} left`,
      bound:
        "0, 0, 0, any, 0; more than 0 killed, committed and rolled back (the faults take effect)",
      holds:
        lost + ghosts + inversions + waiting + parked === 0 &&
        kills > 0 &&
        truth.size > 0 &&
        made.rolledBack > 0,
    };
  } finally {
    over.isOver = true;
    await Promise.allSettled(writing);
    for (const relay of relays) await relay.kill();
  }
}

interface Made {
  committed: number;
  rolledBack: number;
}

/** Commits rows and their events, or rolls them back, also while the server is away. */
async function writer(
  server: PostgresServer,
  outbox: Outbox,
  made: Made,
  over: { readonly isOver: boolean },
  isPlanted: boolean,
): Promise<void> {
  const { user, database } = server.options;
  const connect = async () => {
    const client = new pg.Client({ host: "127.0.0.1", port: server.port, user, database });
    client.on("error", () => {});
    await client.connect();
    return client;
  };
  while (!over.isOver) {
    let client: pg.Client | undefined;
    let other: pg.Client | undefined;
    try {
      client = await connect();
      if (isPlanted) other = await connect();
      while (!over.isOver) await transaction(client, other ?? client, outbox, made);
    } catch {
      // The server was killed; whether a transaction was committed is read at the end.
      await sleep(50);
    } finally {
      await Promise.allSettled([client?.end(), other?.end()]);
    }
  }
}

async function transaction(
  client: pg.Client,
  publishing: pg.Client,
  outbox: Outbox,
  made: Made,
): Promise<void> {
  const key = `key-${Math.floor(keys * Math.random())}`;
  await client.query("begin");
  const { rows } = await client.query(
    "update counters set sequence = sequence + 1 where key = $1 returning sequence",
    [key],
  );
  const { sequence } = rows[0];
  await client.query("insert into orders values ($1, $2)", [key, sequence]);
  await outbox.within(publishing).publish(topic, {
    body: Buffer.from(`${key} ${sequence}`),
    contentType: "text/plain",
    typeName: "",
    key,
  });
  if (Math.random() < 0.3) {
    await client.query("rollback");
    made.rolledBack++;
  } else {
    await client.query("commit");
    made.committed++;
  }
  await sleep(5 * Math.random());
}

function keyed(text: string): KeyedEvent {
  const [key = "", sequence] = text.split(" ");
  return { key, sequence: Number(sequence) };
}
