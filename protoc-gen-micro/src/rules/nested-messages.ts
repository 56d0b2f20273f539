import type { DescFile, DescMessage } from "@bufbuild/protobuf";

/** All messages that a file declares, nested ones behind their parent. Map entries are not among them. */
export function* nestedMessages(parent: DescFile | DescMessage): Iterable<DescMessage> {
  const messages = parent.kind === "file" ? parent.messages : parent.nestedMessages;
  for (const message of messages) {
    yield message;
    yield* nestedMessages(message);
  }
}
