import { setTimeout as sleep } from "node:timers/promises";
import type { Client, MicroError, RegistryEvent } from "@micro-es/runtime";
import { logsMethod } from "@micro-es/runtime/debug";
import { LogLevel, type LogsResponse } from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";
import type { Output, Style } from "../output.ts";
import { type LogLevelName, logLevels } from "./log-levels.ts";
import { debugFailure, type Place, placeOf } from "./places.ts";

/** Which lines are read. */
export interface LogLines {
  /** The least; undefined for lines of every level. */
  readonly level: LogLevelName | undefined;
  /** Of those that a process has kept, so many at most. */
  readonly tail: number;
  /** 0: of any age. */
  readonly maxAgeMs: number;
}

/** Time before a process whose lines broke off is asked again, in milliseconds. */
const againMs = 1_000;

/** Time that a process has to tell what it has kept, in milliseconds. */
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
const placeStyles: readonly Style[] = ["cyan", "magenta", "blue", "green", "yellow"];

/** A process whose lines are read, and up to which. */
interface Source {
  readonly place: Place;
  readonly style: Style;
  after: bigint;
  /** It has no lines to tell. */
  silent: boolean;
}

/** Reads what several processes log, and shows it as one. */
export class LogReader {
  readonly #client: Client;
  readonly #lines: LogLines;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  /** By node, or by address where there is none. */
  readonly #sources = new Map<string, Source>();
  #width = 0;

  constructor(client: Client, lines: LogLines, output: Output, signal: AbortSignal) {
    this.#client = client;
    this.#lines = lines;
    this.#output = output;
    this.#signal = signal;
  }

  /**
   * Shows what processes have kept, by time.
   * @throws MicroError why none of them tells.
   */
  async showKept(places: readonly Place[]): Promise<void> {
    const failures: MicroError[] = [];
    const answers = await Promise.all(
      places.map(async (place) => {
        const source = this.#add(place);
        try {
          const records: LogsResponse[] = [];
          for await (const record of this.#read(source, false)) records.push(record);
          return records.map((record) => ({ source, record }));
        } catch (reason) {
          const failure = debugFailure(place.address, reason);
          source.silent = failure.code === "unimplemented";
          failures.push(failure);
          return [];
        }
      }),
    );
    if (failures[0] !== undefined && failures.length === places.length) throw failures[0];
    const all = answers.flat();
    all.sort((a, b) => millis(a.record) - millis(b.record));
    for (const { source, record } of all) this.#show(source, record);
    for (const { message } of failures) this.#output.note(message);
  }

  /**
   * Shows what is logged from then on, until the signal fires, or until the last process has ended where none can come.
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
          following.push(this.#follow(this.#add(placeOf(node, "grpc"))));
        }
      }
    }
    await Promise.all(following);
  }

  async #follow(source: Source): Promise<void> {
    const { address } = source.place;
    const key = keyOf(source.place);
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
        if (!told) this.#output.note(`${address} is not heard any more: ${message}`);
        told = true;
        if (code === "unimplemented" || source.place.node === undefined) return;
      }
      await sleep(againMs, undefined, { signal: this.#signal }).catch(() => {});
    }
  }

  async *#read(source: Source, follow: boolean): AsyncGenerator<LogsResponse> {
    const { tail, maxAgeMs } = this.#lines;
    const level =
      this.#lines.level === undefined ? LogLevel.UNSPECIFIED : levelNumbers[this.#lines.level];
    // Where nothing was shown yet, what is kept is asked for once more.
    const request =
      source.after > 0n
        ? { level, follow, after: source.after }
        : { level, follow, tail, maxAgeMs };
    const records = this.#client.serverStream(logsMethod, request, {
      ...source.place.call,
      timeoutMs: follow ? Number.POSITIVE_INFINITY : keptWithinMs,
      signal: this.#signal,
    });
    for await (const record of records) {
      source.after = record.sequence;
      yield record;
    }
  }

  #add(place: Place): Source {
    const style = placeStyles[this.#sources.size % placeStyles.length] ?? "cyan";
    const source: Source = { place, style, after: 0n, silent: false };
    this.#sources.set(keyOf(place), source);
    this.#width = Math.max(this.#width, place.address.length);
    return source;
  }

  #show({ place, style }: Source, record: LogsResponse): void {
    const { level, message, fields, sequence, missed } = record;
    const { address, node } = place;
    if (missed > 0n) this.#output.note(`${address}: ${missed} lines came too fast to be read`);
    const time = new Date(millis(record)).toISOString();
    const name = logLevels.find((it) => levelNumbers[it] === level);
    const shown = { node: node?.id, address, sequence: Number(sequence), time, level: name ?? "" };
    this.#output.result({ ...shown, message, fields }, () => {
      const words = Object.entries(fields).map(([key, value]) => ` ${key}=${quoted(value)}`);
      const prefix = this.#output.style(style, `${address.padEnd(this.#width)} |`);
      const mark = this.#output.style(levelStyles[name ?? "debug"], (name ?? "").padEnd(5));
      return `${prefix} ${time.slice(11, 23)} ${mark} ${oneLine(message)}${this.#output.style("dim", words.join(""))}`;
    });
  }
}

function keyOf({ address, node }: Place): string {
  return node?.id ?? address;
}

function millis({ time }: LogsResponse): number {
  return time === undefined ? 0 : Number(time.seconds) * 1_000 + time.nanos / 1e6;
}

/** A value that has blanks in it is put in quotes, so that its end is seen. */
function quoted(text: string): string {
  return /^[^\s"=\p{Cc}]+$/u.test(text) || /^[[{]/.test(text)
    ? oneLine(text)
    : JSON.stringify(text);
}

/** Text from elsewhere can neither begin a line nor speak to the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
}
