import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { readInput, unreadable } from "./files.ts";

/** A JSON text, and its name for errors. */
export interface RequestText {
  readonly text: string;
  readonly where: string;
}

/**
 * The request of a unary call: the word itself, the file of `@path`, standard input for `-` or if
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
  return { text: (await readInput(path)).toString("utf8"), where: path };
}

/**
 * The requests of a stream, one JSON value per line, as they arrive: from standard input, `@path`,
 * or the word.
 */
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
    throw unreadable(path ?? "standard input", reason);
  } finally {
    // Open standard input must not keep the program running.
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
