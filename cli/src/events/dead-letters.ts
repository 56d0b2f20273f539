import type { Broker, DeadLetter, DeadLetters } from "@micro-es/runtime";
import type { ArgumentSpec, OptionSpecs } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";
import { nearestFew } from "../nearest.ts";

/** Arguments of commands for some of a topic's dead letters. */
export const chosenArguments = [
  { name: "topic", help: "the dead letter topic, such as orders.dead" },
  { name: "cursors", optional: true, rest: true, help: "their cursors in `micro dlq ls`" },
] as const satisfies readonly ArgumentSpec[];

export const chosenOptions = {
  all: { type: "boolean", help: "all current ones" },
} as const satisfies OptionSpecs;

/** @throws UsageError if the broker stores none that this program could read. */
export function deadLettersOf({ name, deadLetters }: Broker): DeadLetters {
  if (deadLetters !== undefined && name !== "memory") return deadLetters;
  throw new UsageError(
    `the ${name} broker does not store dead letters: they go to the subscribers of their topic, such as \`micro sub <topic>\`; JetStream stores them: set MICRO_BROKER or MICRO_BACKEND to its URL`,
  );
}

/**
 * The cursors selected by the command line, oldest first for all of them.
 *
 * @throws UsageError for neither cursors nor `--all`, and for both.
 */
export async function chosenCursors(
  deadLetters: DeadLetters,
  topic: string,
  cursors: readonly string[],
  all: boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (all === cursors.length > 0) {
    throw new UsageError(
      all
        ? "--all and cursors exclude each other"
        : `which dead letters? \`micro dlq ls ${topic}\` lists their cursors; --all selects all`,
    );
  }
  if (!all) return cursors;
  const found: string[] = [];
  for await (const { cursor } of deadLetters.list(topic, { signal })) found.push(cursor);
  if (found.length === 0) throw await noneOn(deadLetters, topic, signal);
  return found;
}

/** The message for a topic without dead letters: which topics have some. */
export async function noneOn(
  deadLetters: DeadLetters,
  topic: string,
  signal: AbortSignal,
): Promise<CommandError> {
  const others = (await deadLetters.topics({ signal })).map((each) => each.topic);
  const hint =
    others.length === 0
      ? "nor on any other topic"
      : `there are some on: ${nearestFew(topic, others, 5).join(", ")}`;
  return new CommandError("not_found", `there are no dead letters on ${topic}; ${hint}`);
}

/** The error for an unknown cursor. */
export function noSuchLetter(topic: string, cursor: string): CommandError {
  return new CommandError(
    "not_found",
    `there is no dead letter ${cursor} on ${topic}; \`micro dlq ls ${topic}\` lists the existing ones`,
  );
}

/** A dead letter without its body, as JSON. */
export function summaryOf(letter: DeadLetter) {
  const { cursor, topic, id, key, typeName, contentType, reason, attempts, at, body } = letter;
  const event = { topic, id, key, type: typeName, contentType, bytes: body.length };
  return { cursor, ...event, reason, attempts, at: at.toISOString() };
}
