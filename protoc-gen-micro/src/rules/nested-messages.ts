import type { DescFile, DescMessage } from "@bufbuild/protobuf";

/** All messages in a file, each followed by its nested messages, without map entries. */
export function* nestedMessages(parent: DescFile | DescMessage): Iterable<DescMessage> {
  const messages = parent.kind === "file" ? parent.messages : parent.nestedMessages;
  for (const message of messages) {
    yield message;
    yield* nestedMessages(message);
  }
}
