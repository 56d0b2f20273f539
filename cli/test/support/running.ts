import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { survivors, survivorVariable } from "../../../test/support/survivors.ts";
import { type MicroOptions, startMicro, startMicroInTerminal } from "./micro.ts";

/** After this a test fails with what was said instead, in milliseconds. */
const patienceMs = 60_000;

/** A `micro run` that keeps running. */
export interface Running {
  readonly pid: number;
  /** Finds all that comes of it, see `survivors`. */
  readonly family: string;
  /** All that it wrote. */
  readonly output: string;
  readonly ended: Promise<number | null>;
  /** Resolves when it has written this after all that was waited for before, with the match. */
  says(wanted: string | RegExp): Promise<RegExpMatchArray>;
  type(keys: string): void;
}

/** Starts `micro run`, in a pseudo-terminal or piped. Nothing of it is left after the test. */
export function startRun(
  words: readonly string[],
  options: MicroOptions & { readonly terminal?: boolean },
): Running {
  const family = randomUUID();
  const env = { ...options.env, [survivorVariable]: family };
  const start = options.terminal === true ? startMicroInTerminal : startMicro;
  const child: ChildProcess = start(["run", ...words], { ...options, env });
  onTestFinished(() => {
    for (const { pid } of survivors(family)) process.kill(pid, "SIGKILL");
  });
  let output = "";
  let waitedFor = 0;
  let look = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      look();
    });
  }
  const ended = once(child, "close").then(([code]) => code as number | null);
  return {
    pid: child.pid ?? 0,
    family,
    ended,
    get output() {
      return output;
    },
    says(wanted) {
      const pattern = typeof wanted === "string" ? new RegExp(literally(wanted)) : wanted;
      return new Promise((resolve, reject) => {
        look = () => {
          const match = output.slice(waitedFor).match(pattern);
          if (match === null) return;
          waitedFor += (match.index ?? 0) + match[0].length;
          look = () => {};
          resolve(match);
        };
        look();
        const patience = setTimeout(() => {
          reject(new Error(`it does not say ${wanted}, but:\n${output}`));
        }, patienceMs);
        onTestFinished(() => clearTimeout(patience));
        void ended.then(() => reject(new Error(`it ended without saying ${wanted}:\n${output}`)));
      });
    },
    type: (keys) => void child.stdin?.write(keys),
  };
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
