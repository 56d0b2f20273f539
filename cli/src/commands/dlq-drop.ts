import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import {
  chosenArguments,
  chosenCursors,
  chosenOptions,
  deadLettersOf,
  noSuchLetter,
} from "../events/dead-letters.ts";

export const command: Command = defineCommand({
  arguments: chosenArguments,
  options: chosenOptions,
  details: "Dropped dead letters cannot be restored.",
  examples: [["micro dlq drop orders.dead 17", "one of them"]],
  async run({ arguments: [topic = "", ...words], options, output, environment, signal }) {
    output.progress(`dropping from ${topic}`);
    await using backend = await openBackendParts(environment);
    const deadLetters = deadLettersOf(backend.broker);
    const all = options.all === true;
    const cursors = await chosenCursors(deadLetters, topic, words, all, signal);
    for (const cursor of cursors) {
      signal.throwIfAborted();
      const dropped = await deadLetters.drop(topic, cursor);
      if (dropped) output.result({ cursor, topic }, () => `${cursor} is dropped`);
      else if (!all) throw noSuchLetter(topic, cursor);
    }
  },
});
