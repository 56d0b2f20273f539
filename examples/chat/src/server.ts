import { EventEmitter, on } from "node:events";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { type CallContext, createService, MicroError } from "@micro-es/runtime";
import {
  type ChatHandler,
  type MessageInit,
  type RoomsResponseInit,
  registerChatHandler,
} from "./gen/chat/v1/chat_micro.ts";
import type { Utterance } from "./gen/chat/v1/chat_pb.ts";

class Room {
  readonly people = new Set<string>();
  readonly #said = new EventEmitter();

  say(name: string, text: string): void {
    this.#said.emit("message", { name, text, time: timestampNow() } satisfies MessageInit);
  }

  /** Messages from now on, until the signal aborts. Listens at once, not at the first read. */
  listen(signal: AbortSignal): AsyncIterable<MessageInit> {
    return until(signal, on(this.#said, "message", { signal }));
  }
}

async function* until(
  signal: AbortSignal,
  said: AsyncIterable<unknown[]>,
): AsyncIterable<MessageInit> {
  try {
    for await (const [message] of said) yield message as MessageInit;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

class Chat implements ChatHandler {
  readonly #rooms = new Map<string, Room>();

  async *talk(
    utterances: AsyncIterable<Utterance>,
    context: CallContext,
  ): AsyncIterable<MessageInit> {
    const speaking = utterances[Symbol.asyncIterator]();
    const { value: first } = await speaking.next();
    if (first === undefined || first.room === "" || first.name === "") {
      throw new MicroError(
        "invalid_argument",
        "the first utterance must name a room and a speaker",
      );
    }
    const room = this.#rooms.get(first.room) ?? new Room();
    this.#rooms.set(first.room, room);
    const left = new AbortController();
    const heard = room.listen(AbortSignal.any([left.signal, context.signal]));
    room.people.add(first.name);
    const speak = async () => {
      room.say(first.name, first.text || "joined");
      for (let next = await speaking.next(); !next.done; next = await speaking.next()) {
        room.say(first.name, next.value.text);
      }
      room.say(first.name, "left");
      left.abort();
    };
    const spoken = speak().catch(() => left.abort());
    try {
      yield* heard;
      await spoken;
    } finally {
      room.people.delete(first.name);
      if (room.people.size === 0) this.#rooms.delete(first.room);
    }
  }

  rooms(): RoomsResponseInit {
    return { rooms: [...this.#rooms].map(([name, { people }]) => ({ name, people: [...people] })) };
  }
}

const service = createService({ name: "chat" });
registerChatHandler(service.server, new Chat());
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
