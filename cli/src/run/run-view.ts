import { stripVTControlCharacters } from "node:util";
import type { RunExit, RunLog, RunStatus } from "@micro-es/runtime";
import type { Output, Style } from "../output.ts";

const colours: readonly Style[] = ["cyan", "magenta", "yellow", "green", "blue"];
const own = "micro";

/** The one stream of `micro run`: what services write, each line with its service's name, and what happens to them. */
export class RunView {
  readonly #output: Output;
  readonly #width: number;
  readonly #styles: ReadonlyMap<string, Style>;
  /** The address that a service could not listen at since its last start. */
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
      const words = `… ${log.lines} lines are lost: they came faster than they could be shown`;
      this.#show(service, { service, ...log }, this.#output.style("yellow", words));
      return;
    }
    const busy = busyAddress(log.text);
    if (busy !== undefined) this.#busy.set(service, busy);
    const { time, stream, text, cut } = log;
    const entry = { type: "log", service, time, stream, text, ...(cut ? { cut } : {}) };
    this.#show(service, entry, `${this.#shown(text)}${cut ? " … (cut)" : ""}`);
  }

  /** What became of a service, where that is news. */
  status(status: RunStatus): void {
    const { name, state, reason, pid, restarts, failures, lastExit, nextStartAt } = status;
    const busy = this.#busy.get(name);
    if (state === "starting") this.#busy.delete(name);
    const entry = { type: "status", service: name, state, reason, pid, restarts, failures };
    const more = { lastExit, nextStartAt, busyAddress: busy };
    this.#news({ ...entry, ...more }, this.#inWords(status, busy));
  }

  restarts(services: readonly string[], why: string): void {
    const named = services.map((name) => this.#named(name)).join(", ");
    this.#news({ type: "restart", services, reason: why }, `restarts ${named}: ${why}`);
  }

  /** What is being waited for, for a terminal, until {@link endProgress}. */
  progress(words: string): void {
    this.#output.progress(words);
  }

  endProgress(): void {
    this.#output.endProgress();
  }

  note(words: string, more: object = {}): void {
    this.#news({ type: "note", message: words, ...more }, words);
  }

  problem(words: string, more: object = {}): void {
    this.#news({ type: "problem", message: words, ...more }, this.#output.style("red", words));
  }

  #inWords(
    { name, state, reason, failures, nextStartAt, lastExit }: RunStatus,
    busy: string | undefined,
  ): string {
    const port =
      busy === undefined
        ? ""
        : `: ${busy} is taken; \`lsof -i :${busy.split(":").at(-1)}\` says by whom`;
    const seconds = ((nextStartAt?.getTime() ?? 0) - Date.now()) / 1_000;
    const wait = `${Math.max(0, seconds).toFixed(1)} s`;
    if (state === "backing-off") {
      return this.#output.style("red", `${name} ${reason}${port}; it starts again in ${wait}`);
    }
    if (state === "crash-loop") {
      const words = `${name} is in a crash loop: ${failures} failures in a row, the last one ${reason}${port}`;
      return this.#output.style(
        "red",
        `${words}; it starts again in ${wait}, or when its code changes`,
      );
    }
    return state === "stopped" ? `${this.#named(name)} ${howItStopped(reason, lastExit)}` : "";
  }

  #named(service: string): string {
    return this.#output.style("bold", service);
  }

  #news(entry: object, words: string): void {
    const lines = words === "" ? [] : words.split("\n");
    this.#output.result({ time: new Date(), ...entry }, () =>
      lines.map((line) => `${this.#prefix(own, "dim")}${line}`).join("\n"),
    );
  }

  #show(service: string, entry: object, text: string): void {
    this.#output.result(
      entry,
      () => this.#prefix(service, this.#styles.get(service) ?? "dim") + text,
    );
  }

  #prefix(name: string, style: Style): string {
    return this.#output.style(style, `${name.padEnd(this.#width)} | `);
  }

  /** A line that can do no more to a terminal than be coloured, and that only where colours are shown. */
  #shown(text: string): string {
    const line = text.slice(text.lastIndexOf("\r") + 1);
    if (!this.#output.coloured) return stripVTControlCharacters(line);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of colours are what is kept
    const parts = line.split(/(\u001b\[[\d;:]*m)/);
    const kept = parts.map((part, index) =>
      index % 2 === 1 ? part : stripVTControlCharacters(part),
    );
    return parts.length > 1 ? `${kept.join("")}\u001b[0m` : kept.join("");
  }
}

function howItStopped(reason: string, lastExit: RunExit | undefined): string {
  if (reason !== "deleted") return reason;
  return lastExit?.signal === "SIGKILL" ? "was killed: it did not stop in time" : "has stopped";
}

/** The address of a line that says that somebody else listens there, in Node's words or in the runtime's. */
function busyAddress(line: string): string | undefined {
  return /(?:address already in use|cannot listen at)\s+(\S*:\d+)\b/.exec(line)?.[1];
}
