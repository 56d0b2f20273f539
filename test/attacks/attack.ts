import type { Target } from "./target.ts";

/** The protocols by which something can reach a process, in the order of the table. */
export const protocols = [
  "native",
  "HTTP/1.1",
  "HTTP/2",
  "go-micro",
  "HTTP broker",
  "mDNS",
  "NATS",
  "client: native",
  "client: HTTP",
  "client: go-micro",
  "micro",
] as const;

/**
 * What an attack may cost per byte it sends, on top of {@link allowance}. Times are multiplied by
 * how much slower the machine is (slowness.ts); leave a factor of three or more above what is
 * measured on a quiet one.
 */
export interface Bounds {
  /** CPU time of the target process, in milliseconds per megabyte (10^6 bytes) sent. */
  readonly cpuMsPerMB: number;
  /** Memory held after a collection, at the worst moment, in bytes per byte sent. */
  readonly heldPerByte: number;
  /** The longest that one turn of the event loop computes, in milliseconds. Default 250. */
  readonly stallMs?: number;
}

/**
 * What every attack may cost however little it sends: code that is compiled, buffers and pools that
 * exist once.
 */
export const allowance = { cpuMs: 400, heldBytes: 24 * 1024 * 1024 } as const;

/**
 * The longest that one turn of the event loop may compute unless an attack says otherwise, in
 * milliseconds.
 */
export const defaultStallMs = 250;

/** One attack. Each file of `inputs/` exports one as `attack`; the file's name is its name. */
export interface Attack {
  readonly protocol: (typeof protocols)[number];
  /** The input of the attack, in a few words, for the table. */
  readonly description: string;
  readonly bounds: Bounds;
  /** Environment variables of the target in addition to those of {@link startTarget}. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A module that exports `setup: TargetSetup` and is loaded by the target. */
  readonly setup?: URL;
  /** Heap limit of the target, in MiB, for attacks that would end the process. */
  readonly heapMB?: number;
  /**
   * What is missing on this machine for the attack, in a few words; undefined when nothing is. It
   * is skipped then, and in CI that is a failure.
   */
  readonly missing?: () => string | undefined;
  /** Waits for deadlines of seconds; `--short` leaves it out. */
  readonly slow?: boolean;
  /**
   * Attacks the target, and throws when something that must stay true does not. Connections made
   * through the target are counted and closed for it. After every attack the harness checks by
   * itself that the process is alive, reported no unhandled error and serves an ordinary call.
   */
  run(target: Target): Promise<void>;
}
