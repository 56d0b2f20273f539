import { type ChildProcess, execFile, execFileSync } from "node:child_process";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts } from "@micro-es/test-support/free-ports";
import { memoryFolder, ServerProcess } from "@micro-es/test-support/server-process";
import pg from "pg";
import { postgresPrograms } from "./servers.ts";

const [found] = postgresPrograms();

/** The version of the PostgreSQL that is started; undefined when there is none. */
export const postgresVersion: string | undefined = found?.version;

if (postgresVersion === undefined) {
  const message =
    "PostgreSQL is not installed, so nothing is tested against it: run test/setup, or set POSTGRES_SERVER to the folder of its programs";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against PostgreSQL do not run without a server; in CI that is an error instead. */
export const skipWithoutPostgres = postgresVersion === undefined;

/** A server of a test's own, on a free port and in a directory of its own. */
export interface PostgresServer extends AsyncDisposable {
  /** As the option `servers` takes it. */
  readonly address: string;
  readonly port: number;
  /** Of the superuser, for the driver's URL. */
  readonly url: string;
  /** Options of a part, for the superuser. */
  readonly options: { readonly servers: string; readonly user: string; readonly database: string };
  /** Ends it at once, or gently; its directory and its port stay. */
  stop(signal?: "SIGKILL" | "SIGINT"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was; resolves when it takes statements. */
  start(): Promise<void>;
  /** Runs statements as the superuser. */
  run(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a server is started. */
export interface PostgresServerOptions {
  /** Settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Files in its directory, by name, that only the server may read. */
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf instead of one that lets everyone in. */
  readonly access?: readonly string[];
  /** Lines of pg_ident.conf. */
  readonly maps?: readonly string[];
}

/** The user that runs servers where this process is root, which PostgreSQL refuses to be run by. */
const account = "postgres";
const isRoot = process.getuid?.() === 0;

/** Runs a program of PostgreSQL, or of its kind, as a user that it accepts. */
export function asAccount(path: string, words: readonly string[]): readonly [string, string[]] {
  if (!isRoot) return [path, [...words]];
  const identity = [`--reuid=${account}`, `--regid=${account}`, "--clear-groups"];
  return ["setpriv", [...identity, path, ...words]];
}

/** Gives files to the user of {@link asAccount}. */
export function giveToAccount(...paths: readonly string[]): void {
  if (!isRoot) return;
  const [uid, gid] = ["-u", "-g"].map((flag) =>
    Number(execFileSync("id", [flag, account], { encoding: "utf8" })),
  );
  for (const path of paths) chownSync(path, uid ?? 0, gid ?? 0);
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const { settings = {}, files = {}, access, maps } = options;
  const [port = 0] = await freePorts(1);
  const programs = found?.path ?? "";
  const given = {
    port: `${port}`,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    shared_buffers: "16MB",
    max_connections: "200",
    ...settings,
  };
  const words = Object.entries(given).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const dataOf = (directory: string) => join(directory, "data");
  const server = new ServerProcess(
    "postgres",
    (directory) => {
      const [path, flags] = asAccount(join(programs, "postgres"), [
        ...["-D", dataOf(directory)],
        ...words,
      ]);
      return { path, flags, ready: (child) => ready(port, child) };
    },
    memoryFolder(),
  );
  const { directory } = server;
  giveToAccount(directory);
  const data = dataOf(directory);
  const create = ["-D", data, "-U", account, "--auth=trust", "--no-sync", "-E", "UTF8"];
  const [path, flags] = asAccount(join(programs, "initdb"), [...create, "--locale=C"]);
  // It takes seconds, in which others in this process have locks to renew.
  await promisify(execFile)(path, flags, { cwd: directory });
  for (const [name, content] of Object.entries(files)) {
    const file = join(data, name);
    writeFileSync(file, content);
    chmodSync(file, 0o600);
    giveToAccount(file);
  }
  if (access !== undefined) writeFileSync(join(data, "pg_hba.conf"), `${access.join("\n")}\n`);
  if (maps !== undefined) writeFileSync(join(data, "pg_ident.conf"), `${maps.join("\n")}\n`);
  const place = { host: "127.0.0.1", port, user: account, database: account };
  const started: PostgresServer = {
    address: `127.0.0.1:${port}`,
    port,
    url: `postgres://${account}@127.0.0.1:${port}/${account}`,
    options: { servers: `127.0.0.1:${port}`, user: account, database: account },
    stop: (signal) => server.stop(signal),
    signal: (name) => server.signal(name),
    start: () => startAgain(server),
    async run(text, values = []) {
      const client = new pg.Client(place);
      client.on("error", () => {});
      await client.connect();
      try {
        const { rows } = await client.query(text, [...values]);
        return rows;
      } finally {
        await client.end();
      }
    },
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return started;
}

/** The processes of one that was killed end a little later, and hold its memory until then. */
async function startAgain(server: ServerProcess): Promise<void> {
  const late = performance.now() + 20_000;
  for (;;) {
    try {
      await server.start();
      return;
    } catch (error) {
      await server.stop();
      if (performance.now() > late || !/is still in use|lock file/.test(`${error}`)) throw error;
      await sleep(50);
    }
  }
}

/** Waits until it accepts connections; one that is refused for its user is one as well. */
async function ready(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const client = new pg.Client({ host: "127.0.0.1", port, user: account, database: account });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "28000" || code === "28P01") return;
      if (/SASL|password/.test(String(error))) return;
    }
    await sleep(20);
  }
}
