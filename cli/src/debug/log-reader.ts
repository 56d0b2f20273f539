import { setTimeout as sleep } from "node:timers/promises";
import type { Client, MicroError, RegistryEvent } from "@micro-es/runtime";
import { logsMethod } from "@micro-es/runtime/debug";
import { LogLevel, type LogsResponse } from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";
import type { Output } from "../output.ts";
import { type Style, styled, text } from "../text.ts";
import { type DebugCall, debugFailure, type Endpoint, endpointOf } from "./endpoints.ts";
import { type LogLevelName, logLevels } from "./log-levels.ts";

/** Which lines are read. */
export interface LogLines {
  /** Minimum level; undefined for all. */
  readonly level: LogLevelName | undefined;
  /** Maximum number of stored lines of a process. */
  readonly tail: number;
  /** 0: any age. */
  readonly maxAgeMs: number;
}

/** Time before a process whose lines broke off is read again, in milliseconds. */
const againMs = 1_000;

/** Time that a process has to send its stored lines, in milliseconds. */
const keptWithinMs = 10_000;

const levelNumbers: Readonly<Record<LogLevelName, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
};
const levelStyles: Readonly<Record<LogLevelName, Style>> = {
  debug: "dim",
  info: "green",
  warn: "yellow",
  error: "red",
};
const endpointStyles: readonly Style[] = ["cyan", "magenta", "blue", "green", "yellow"];

/** A process whose lines are read, and the position. */
interface Source {
  readonly endpoint: Endpoint;
  readonly style: Style;
  after: bigint;
  /** It has no log. */
  silent: boolean;
}

/** Reads the logs of several processes, and shows them as one. */
export class LogReader {
  readonly #client: Client;
  readonly #lines: LogLines;
  readonly #debug: DebugCall;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  /** By node, or by address without one. */
  readonly #sources = new Map<string, Source>();
  #width = 0;

  constructor(
    client: Client,
    lines: LogLines,
    debug: DebugCall,
    output: Output,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#lines = lines;
    this.#debug = debug;
    this.#output = output;
    this.#signal = signal;
  }

  /**
   * Shows stored lines of the processes, by time.
   *
   * @throws MicroError the reason if no process sends any.
   */
  async showKept(endpoints: readonly Endpoint[]): Promise<void> {
    const failures: MicroError[] = [];
    const responses = await Promise.all(
      endpoints.map(async (endpoint) => {
        const source = this.#add(endpoint);
        try {
          const records: LogsResponse[] = [];
          for await (const record of this.#read(source, false)) records.push(record);
          return records.map((record) => ({ source, record }));
        } catch (reason) {
          const failure = debugFailure(endpoint.address, reason);
          source.silent = failure.code === "unimplemented";
          failures.push(failure);
          return [];
        }
      }),
    );
    if (failures[0] !== undefined && failures.length === endpoints.length) throw failures[0];
    const all = responses.flat();
    all.sort((a, b) => millis(a.record) - millis(b.record));
    for (const { source, record } of all) this.#show(source, record);
    for (const { message } of failures) this.#output.note(message);
  }

  /**
   * Shows new lines until the signal aborts, or until the last process has ended if no further one
   * can appear.
   *
   * @param changes processes that come and go.
   */
  async follow(changes: AsyncIterable<RegistryEvent> | undefined): Promise<void> {
    this.#output.endProgress();
    const heard = [...this.#sources.values()].filter(({ silent }) => !silent);
    const following = heard.map((source) => this.#follow(source));
    for await (const event of changes ?? []) {
      const nodes = event.type === "snapshot" ? event.nodes : [event.node];
      for (const node of nodes) {
        if (event.type === "removed") this.#sources.delete(node.id);
        else if (!this.#sources.has(node.id)) {
          following.push(this.#follow(this.#add(endpointOf(node, "grpc", this.#debug))));
        }
      }
    }
    await Promise.all(following);
  }

  async #follow(source: Source): Promise<void> {
    const { address } = source.endpoint;
    const key = keyOf(source.endpoint);
    let told = false;
    while (!this.#signal.aborted && this.#sources.get(key) === source) {
      try {
        for await (const record of this.#read(source, true)) {
          told = false;
          this.#show(source, record);
        }
        if (!this.#signal.aborted) this.#output.note(`${address} has ended`);
        this.#sources.delete(key);
        return;
      } catch (reason) {
        if (this.#signal.aborted) return;
        const { code, message } = debugFailure(address, reason);
        if (!told) this.#output.note(`${address} stopped sending: ${message}`);
        told = true;
        if (code === "unimplemented" || source.endpoint.node === undefined) return;
      }
      await sleep(againMs, undefined, { signal: this.#signal }).catch(() => {});
    }
  }

  async *#read(source: Source, follow: boolean): AsyncGenerator<LogsResponse> {
    const { tail, maxAgeMs } = this.#lines;
    const level =
      this.#lines.level === undefined ? LogLevel.UNSPECIFIED : levelNumbers[this.#lines.level];
    // If no line was shown yet, stored lines are requested again.
    const request =
      source.after > 0n
        ? { level, follow, after: source.after }
        : { level, follow, tail, maxAgeMs };
    const records = this.#client.serverStream(logsMethod, request, {
      ...source.endpoint.call,
      timeoutMs: follow ? Number.POSITIVE_INFINITY : keptWithinMs,
      signal: this.#signal,
    });
    for await (const record of records) {
      source.after = record.sequence;
      yield record;
    }
  }

  #add(endpoint: Endpoint): Source {
    const style = endpointStyles[this.#sources.size % endpointStyles.length] ?? "cyan";
    const source: Source = { endpoint, style, after: 0n, silent: false };
    this.#sources.set(keyOf(endpoint), source);
    this.#width = Math.max(this.#width, endpoint.address.length);
    return source;
  }

  #show({ endpoint, style }: Source, record: LogsResponse): void {
    const { level, message, fields, sequence, missed } = record;
    const { address, node } = endpoint;
    if (missed > 0n) this.#output.note(`${address}: ${missed} lines came too fast to be read`);
    const time = new Date(millis(record)).toISOString();
    const name = logLevels.find((it) => levelNumbers[it] === level);
    const shown = { node: node?.id, address, sequence: Number(sequence), time, level: name ?? "" };
    this.#output.result({ ...shown, message, fields }, () => {
      const words = Object.entries(fields).map(([key, value]) => ` ${key}=${quoted(value)}`);
      const prefix = styled(style, `${address.padEnd(this.#width)} |`);
      const mark = styled(levelStyles[name ?? "debug"], (name ?? "").padEnd(5));
      return text`${prefix} ${time.slice(11, 23)} ${mark} ${message}${styled("dim", words.join(""))}`;
    });
  }
}

function keyOf({ address, node }: Endpoint): string {
  return node?.id ?? address;
}

function millis({ time }: LogsResponse): number {
  return time === undefined ? 0 : Number(time.seconds) * 1_000 + time.nanos / 1e6;
}

/** A value with whitespace is quoted, so that its end is visible. */
function quoted(value: string): string {
  return /^[^\s"=\p{Cc}]+$/u.test(value) || /^[[{]/.test(value) ? value : JSON.stringify(value);
}
