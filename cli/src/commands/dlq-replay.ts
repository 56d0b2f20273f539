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
  details:
    "Publishes the event on its own topic with its id, key and metadata, and then drops the dead letter. Every\nsubscriber of the topic receives it, including those that have handled it before.",
  examples: [
    ["micro dlq replay orders.dead 17 19", "two of them"],
    ["micro dlq replay orders.dead --all", "all current ones, the oldest first"],
  ],
  async run({ arguments: [topic = "", ...words], options, output, environment, signal }) {
    output.progress(`replaying ${topic}`);
    await using backend = await openBackendParts(environment);
    const deadLetters = deadLettersOf(backend.broker);
    const all = options.all === true;
    const cursors = await chosenCursors(deadLetters, topic, words, all, signal);
    for (const cursor of cursors) {
      const letter = await deadLetters.read(topic, cursor);
      const replayed = await deadLetters.replay(topic, cursor, { signal });
      if (letter !== undefined && replayed) {
        output.result({ cursor, topic: letter.topic, id: letter.id }, () => {
          return `${cursor} is on ${letter.topic} again`;
        });
      } else if (!all) {
        throw noSuchLetter(topic, cursor);
      }
    }
  },
});
