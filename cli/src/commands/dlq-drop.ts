import { type Command, defineCommand } from "../command.ts";
import {
  chosenArguments,
  chosenCursors,
  chosenOptions,
  deadLettersOf,
  noSuchLetter,
} from "../events/dead-letters.ts";
import { openFleet } from "../fleet.ts";

export const command: Command = defineCommand({
  arguments: chosenArguments,
  options: chosenOptions,
  details: "What is dropped is gone for good.",
  examples: [["micro dlq drop orders.dead 17", "one of them"]],
  async run({ arguments: [topic = "", ...words], options, output, environment, signal }) {
    output.progress(`dropping from ${topic}`);
    await using fleet = await openFleet(environment);
    const deadLetters = deadLettersOf(fleet.broker);
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
