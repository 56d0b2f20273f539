import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { UsageError } from "./command.ts";

/** One JSON text, and what to call it in an error. */
export interface RequestText {
  readonly text: string;
  readonly where: string;
}

/**
 * The one request of a call: the word itself, the file of `@path`, standard input for `-` and for no word where
 * something is piped in, else an empty message.
 */
export async function oneRequest(word: string | undefined): Promise<RequestText> {
  if (word === undefined && process.stdin.isTTY === true)
    return { text: "{}", where: "the request" };
  if (word === undefined || word === "-") {
    const read = await text(process.stdin);
    return { text: read.trim() === "" ? "{}" : read, where: "standard input" };
  }
  if (!word.startsWith("@")) return { text: word, where: "the request" };
  const path = word.slice(1);
  return { text: await readFile(path, "utf8").catch(missing(path)), where: path };
}

/** The requests of a stream, a JSON value a line, as they come: from standard input, or from `@path`, or the word. */
export async function* manyRequests(word: string | undefined): AsyncGenerator<RequestText> {
  if (word !== undefined && word !== "-" && !word.startsWith("@")) {
    yield* lines(word.split("\n"), "line");
    return;
  }
  const path = word?.startsWith("@") === true ? word.slice(1) : undefined;
  const input = path === undefined ? process.stdin : createReadStream(path);
  const name = path === undefined ? "line" : `${path}:`;
  try {
    yield* lines(createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }), name);
  } catch (reason) {
    missing(path ?? "")(reason);
  } finally {
    // Standard input that stays open must not keep the program from ending.
    input.destroy();
  }
}

async function* lines(
  source: AsyncIterable<string> | Iterable<string>,
  name: string,
): AsyncGenerator<RequestText> {
  let number = 0;
  for await (const line of source) {
    number++;
    if (line.trim() !== "") yield { text: line, where: `${name} ${number}` };
  }
}

function missing(path: string): (reason: unknown) => never {
  return (reason) => {
    if ((reason as NodeJS.ErrnoException).code !== "ENOENT") throw reason;
    throw new UsageError(`there is no ${path}`);
  };
}
