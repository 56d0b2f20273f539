import type { Broker, DeadLetter, DeadLetters } from "@micro-es/runtime";
import { type ArgumentSpec, CommandError, type OptionSpecs, UsageError } from "../command.ts";
import { nearestFew } from "../nearest.ts";

/** The words of commands that work on some of a topic's dead letters. */
export const chosenArguments = [
  { name: "topic", help: "the dead letter topic, such as orders.dead" },
  { name: "cursors", optional: true, rest: true, help: "which, as `micro dlq ls` names them" },
] as const satisfies readonly ArgumentSpec[];

export const chosenOptions = {
  all: { type: "boolean", help: "all that are there now, instead of some" },
} as const satisfies OptionSpecs;

/** @throws UsageError where the broker keeps none that this program could see. */
export function deadLettersOf({ name, deadLetters }: Broker): DeadLetters {
  if (deadLetters !== undefined && name !== "memory") return deadLetters;
  throw new UsageError(
    `the ${name} broker keeps no dead letters that can be looked at: they go to who subscribes to their topic, as \`micro sub <topic>\` does; JetStream keeps them, and MICRO_NATS_URL says where it is`,
  );
}

/**
 * The cursors that the command line chooses, the oldest first for all of them.
 * @throws UsageError for neither some nor all, and for both.
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
        : `which dead letters? \`micro dlq ls ${topic}\` lists their cursors; --all takes them all`,
    );
  }
  if (!all) return cursors;
  const found: string[] = [];
  for await (const { cursor } of deadLetters.list(topic, { signal })) found.push(cursor);
  if (found.length === 0) throw await noneOn(deadLetters, topic, signal);
  return found;
}

/** What to say of a topic without dead letters: where there are some. */
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

/** The error for a cursor that names nothing. */
export function noSuchLetter(topic: string, cursor: string): CommandError {
  return new CommandError(
    "not_found",
    `there is no dead letter ${cursor} on ${topic}; \`micro dlq ls ${topic}\` lists those that are there`,
  );
}

/** What of a dead letter is told without its body, as JSON. */
export function summaryOf(letter: DeadLetter) {
  const { cursor, topic, id, key, typeName, contentType, reason, attempts, at, body } = letter;
  const event = { topic, id, key, type: typeName, contentType, bytes: body.length };
  return { cursor, ...event, reason, attempts, at: at.toISOString() };
}
