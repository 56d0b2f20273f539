import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { askServer } from "../src/link/ask-server.ts";
import { nsdProgram } from "./servers.ts";

const found = nsdProgram();

/** The version of the NSD that is started; undefined when there is none. */
export const nsdVersion: string | undefined = found?.version;

if (nsdVersion === undefined) {
  const message =
    "NSD is not installed, so nothing is tested against a DNS server: run test/setup, or set NSD_SERVER to its path";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against a DNS server do not run without one; in CI that is an error instead. */
export const skipWithoutNsd = nsdVersion === undefined;

/** The zone that the server has. */
export const zone = "shop.test";

/** An authoritative DNS server of a test's own, on a free port and in a directory of its own. */
export interface NsdServer extends AsyncDisposable {
  /** `ip:port`. */
  readonly address: string;
  readonly port: number;
  /** Replaces the records of {@link zone}; resolves when the server responds with them. */
  write(records: readonly string[]): Promise<void>;
  /** Ends it at once; its directory and its port stay. */
  stop(): Promise<void>;
  /** Starts it again where it was; resolves when it responds. */
  start(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** Starts a server with these records. */
export async function startNsd(records: readonly string[] = []): Promise<NsdServer> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "micro-nsd-"));
  const at = (name: string) => join(directory, name);
  writeFileSync(
    at("nsd.conf"),
    `server:
  ip-address: 127.0.0.1@${port}
  username: ""
  chroot: ""
  zonesdir: "${directory}"
  database: ""
  zonelistfile: "${at("zone.list")}"
  xfrdfile: "${at("xfrd.state")}"
  pidfile: ""
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${zone}
  zonefile: zone
`,
  );
  let serial = 0;
  const save = (lines: readonly string[]) => {
    serial++;
    const head = [
      `$ORIGIN ${zone}.`,
      "$TTL 1",
      `@ IN SOA ns admin ${serial} 3600 600 86400 1`,
      "@ IN NS ns",
      "ns IN A 127.0.0.1",
      // Tells by its port which version of the zone the server has.
      `version IN SRV 0 0 ${serial} ns`,
    ];
    writeFileSync(at("new"), [...head, ...lines, ""].join("\n"));
    renameSync(at("new"), at("zone"));
  };
  save(records);
  let child: ChildProcess | undefined;
  const start = async () => {
    const started = spawn(found?.path ?? "nsd", ["-d", "-c", at("nsd.conf")], {
      stdio: ["ignore", "ignore", "pipe"],
      // Its workers end with it when the group does.
      detached: true,
    });
    child = started;
    let log = "";
    started.stderr?.on("data", (text: Buffer) => {
      log = `${log}${text}`.slice(-10_000);
    });
    const exited = once(started, "exit").then(([code]) => {
      throw new Error(`nsd ended with ${code}: ${log}`);
    });
    exited.catch(() => {});
    await Promise.race([hasVersion(port, () => serial, started), exited]);
  };
  const killGroup = (name: NodeJS.Signals) => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, name);
  };
  const stop = async () => {
    const stopping = child;
    if (stopping === undefined || stopping.exitCode !== null) return;
    const exited = once(stopping, "exit");
    killGroup("SIGKILL");
    child = undefined;
    await exited;
  };
  // A test that dies must not leave a server behind.
  const killAtExit = () => killGroup("SIGKILL");
  process.once("exit", killAtExit);
  const close = async () => {
    await stop();
    process.off("exit", killAtExit);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    port,
    async write(lines) {
      save(lines);
      if (child === undefined) return;
      child.kill("SIGHUP");
      await hasVersion(port, () => serial, child);
    },
    stop,
    start,
    signal: killGroup,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Waits until the server has the current version of the zone. */
async function hasVersion(port: number, version: () => number, child: ChildProcess): Promise<void> {
  const question = { name: `version.${zone}`, type: "SRV" } as const;
  const { signal } = new AbortController();
  const options = { timeoutMs: 500, ednsBytes: 1_232, overTcp: false, signal };
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const { answers } = await askServer({ host: "127.0.0.1", port }, question, options);
      const [record] = answers;
      if (record?.type === "SRV" && record.port === version()) return;
    } catch {
      // It does not respond yet.
    }
    await sleep(20);
  }
}

/** A port that is free for TCP and for UDP. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const socket = createSocket("udp4");
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once("error", () => resolve(false));
      socket.bind(port, "127.0.0.1", () => resolve(true));
    });
    socket.close();
    server.close();
    await once(server, "close");
    if (isFree) return port;
  }
}
