import type { RunExit, RunLog, RunStatus } from "@micro-es/runtime/runtime/local";
import type { Output } from "../output.ts";
import {
  colouredLine,
  joined,
  type RichText,
  type Style,
  styled,
  type Text,
  text,
} from "../text.ts";

const colours: readonly Style[] = ["cyan", "magenta", "yellow", "green", "blue"];
const own = "micro";

/**
 * The combined output of `micro run`: the output of services, each line with the service's name,
 * and status messages.
 */
export class RunView {
  readonly #output: Output;
  readonly #width: number;
  readonly #styles: ReadonlyMap<string, Style>;
  /** The address that a service could not listen on since its last start. */
  readonly #busy = new Map<string, string>();

  constructor(output: Output, services: readonly string[]) {
    this.#output = output;
    this.#width = Math.max(own.length, ...services.map((name) => name.length));
    this.#styles = new Map(
      services.map((name, index) => [name, colours[index % colours.length] ?? "cyan"]),
    );
  }

  log(service: string, log: RunLog): void {
    if (log.type === "lost") {
      const words = `… ${log.lines} lines were lost: they arrived faster than they could be shown`;
      this.#show(service, { service, ...log }, styled("yellow", words));
      return;
    }
    const busy = busyAddress(log.text);
    if (busy !== undefined) this.#busy.set(service, busy);
    const { time, stream, text: line, cut } = log;
    const entry = { type: "log", service, time, stream, text: line, ...(cut ? { cut } : {}) };
    this.#show(service, entry, text`${shownLine(line)}${cut ? " … (cut)" : ""}`);
  }

  /** Shows the state of a service, if it changed. */
  status(status: RunStatus): void {
    const { name, state, reason, pid, restarts, failures, lastExit, nextStartAt } = status;
    const busy = this.#busy.get(name);
    if (state === "starting") this.#busy.delete(name);
    const entry = { type: "status", service: name, state, reason, pid, restarts, failures };
    const more = { lastExit, nextStartAt, busyAddress: busy };
    this.#news({ ...entry, ...more }, this.#inWords(status, busy));
  }

  restarts(services: readonly string[], why: string): void {
    const named = joined(
      services.map((name) => styled("bold", name)),
      ", ",
    );
    this.#news({ type: "restart", services, reason: why }, [text`restarts ${named}: ${why}`]);
  }

  /** Shows on a terminal what the program waits for, until {@link endProgress}. */
  progress(words: string): void {
    this.#output.progress(words);
  }

  endProgress(): void {
    this.#output.endProgress();
  }

  note(words: string, more: object = {}): void {
    this.#news({ type: "note", message: words, ...more }, words.split("\n"));
  }

  problem(words: string, more: object = {}): void {
    const shown = words.split("\n").map((line) => styled("red", line));
    this.#news({ type: "problem", message: words, ...more }, shown);
  }

  #inWords(
    { name, state, reason, failures, nextStartAt, lastExit }: RunStatus,
    busy: string | undefined,
  ): readonly Text[] {
    const port =
      busy === undefined
        ? ""
        : `: ${busy} is taken; \`lsof -i :${busy.split(":").at(-1)}\` shows the process`;
    const seconds = ((nextStartAt?.getTime() ?? 0) - Date.now()) / 1_000;
    const wait = `${Math.max(0, seconds).toFixed(1)} s`;
    if (state === "backing-off") {
      return [styled("red", `${name} ${reason}${port}; restarting in ${wait}`)];
    }
    if (state === "crash-loop") {
      const words = `${name} is in a crash loop: ${failures} failures in a row, the last one ${reason}${port}`;
      return [styled("red", `${words}; restarting in ${wait}, or on a code change`)];
    }
    return state === "stopped"
      ? [text`${styled("bold", name)} ${howItStopped(reason, lastExit)}`]
      : [];
  }

  /** Shows lines of this program; nothing for an empty list. */
  #news(entry: object, news: readonly Text[]): void {
    this.#output.result({ time: new Date(), ...entry }, () =>
      joined(news.map((line) => text`${this.#prefix(own, "dim")}${line}`)),
    );
  }

  #show(service: string, entry: object, content: Text): void {
    this.#output.result(
      entry,
      () => text`${this.#prefix(service, this.#styles.get(service) ?? "dim")}${content}`,
    );
  }

  #prefix(name: string, style: Style): RichText {
    return styled(style, `${name.padEnd(this.#width)} | `);
  }
}

/** A line without unsafe control characters, and the final text of a line that was overwritten. */
function shownLine(line: string): RichText {
  return colouredLine(line.slice(line.lastIndexOf("\r") + 1));
}

function howItStopped(reason: string, lastExit: RunExit | undefined): string {
  if (reason !== "deleted") return reason;
  return lastExit?.signal === "SIGKILL"
    ? "was killed, because it did not stop in time"
    : "has stopped";
}

/** The address in an "address in use" line, of Node or of the runtime. */
function busyAddress(line: string): string | undefined {
  return /(?:address already in use|cannot listen at)\s+(\S*:\d+)\b/.exec(line)?.[1];
}
