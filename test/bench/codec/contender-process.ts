import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Case, casesOf } from "./contender.ts";
import { contenders } from "./contenders/index.ts";
import { sliceOf } from "./measure.ts";

/** The measured operations on a fixture. */
export type Operation = "decode" | "encode" | "encode into";

interface Question {
  readonly fixture: string;
  readonly operation: Operation;
}

interface Answer {
  /** Operations per second of CPU time; absent if the contender does not support the operation. */
  readonly rate?: number;
  readonly bytes: number;
}

const file = fileURLToPath(import.meta.url);

/**
 * A contender in a separate process, which works only on request. In one process contenders would
 * slow each other down, and some even share classes.
 */
export class ContenderProcess {
  readonly name: string;
  readonly #child: ChildProcess;

  /** @param folder the output of `prepare` */
  constructor(name: string, folder: string) {
    this.name = name;
    this.#child = fork(file, [name, folder]);
  }

  /** Runs one slice. */
  slice(fixture: string, operation: Operation): Promise<Answer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) =>
        reject(new Error(`the process of ${this.name} ended with ${code}`));
      child.once("exit", ended);
      child.once("message", (answer: Answer) => {
        child.off("exit", ended);
        resolve(answer);
      });
      child.send({ fixture, operation } satisfies Question);
    });
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}

function slicer({ codec, bytes }: Case, operation: Operation): (() => number) | undefined {
  const message = codec.decode(bytes);
  const target = new Uint8Array(bytes.length + 64);
  const { encodeInto } = codec;
  let sink: unknown;
  if (operation === "decode") return sliceOf(() => (sink = codec.decode(bytes)));
  if (operation === "encode") return sliceOf(() => (sink = codec.encode(message)));
  if (encodeInto === undefined) return undefined;
  return sliceOf(() => (sink = encodeInto(message, target)));
}

if (process.argv[1] === file) {
  const [name, folder] = process.argv.slice(2);
  const cases = await casesOf(contenders.find((it) => it.name === name)!, folder!);
  const slices = new Map<string, (() => number) | undefined>();
  process.on("message", ({ fixture, operation }: Question) => {
    const found = cases.find((it) => it.fixture.name === fixture)!;
    const key = `${fixture} ${operation}`;
    if (!slices.has(key)) slices.set(key, slicer(found, operation));
    const rate = slices.get(key)?.();
    const bytes = found.bytes.length;
    process.send!((rate === undefined ? { bytes } : { rate, bytes }) satisfies Answer);
  });
}
