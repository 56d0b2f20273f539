import { createClient } from "@micro-es/runtime";
import { createChatClient, type UtteranceInit } from "./gen/chat/v1/chat_micro.ts";

/** A person in a room: greets everyone who joins, responds to a greeting, and leaves. */
const [name = "Ada", room = "kitchen", patience = "6"] = process.argv.slice(2);

await using client = createClient();
const chat = createChatClient(client);

const outbox: UtteranceInit[] = [{ room, name }];
let wake = () => {};
let done = false;

async function* utterances(): AsyncIterable<UtteranceInit> {
  while (!done || outbox.length > 0) {
    const next = outbox.shift();
    if (next !== undefined) yield next;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
}

function say(text: string): void {
  outbox.push({ text });
  wake();
}

let heard = 0;
for await (const message of chat.talk(utterances())) {
  heard++;
  console.log(`  ${name.padEnd(5)} hears  ${message.name}: ${message.text}`);
  if (message.name !== name && message.text === "joined") say(`hello ${message.name}`);
  if (message.text === `hello ${name}`) say("how are you?");
  if (message.name !== name && message.text === "how are you?") say("fine, goodbye");
  if (message.text === "fine, goodbye" || heard >= Number(patience)) {
    done = true;
    wake();
  }
}
