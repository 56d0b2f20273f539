import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { conversations, type Heard, hold } from "./conversations.ts";
import { nsqdVersion, startNsqd } from "./server.ts";

/** What nsqd said, by the name of the conversation. `RECORD=true NSQD=…` records it again. */
const file = new URL("recordings/nsqd-1.3.0.json", import.meta.url);
const isRecording = process.env.RECORD === "true" && process.env.NSQD !== undefined;
const recorded = isRecording
  ? {}
  : (JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, Heard>>);

describe(`${nsqdVersion} in the recorded conversations`, () => {
  const heard: Record<string, Heard> = {};

  test.each(conversations)("$name", async (conversation) => {
    await using server = await startNsqd(conversation.options);
    const said = await hold(conversation, server);
    heard[conversation.name] = said;
    if (!isRecording) expect(said).toEqual(recorded[conversation.name]);
  });

  afterAll(() => {
    if (isRecording) writeFileSync(file, `${JSON.stringify(heard, undefined, 2)}\n`);
  });
});
