import { connect, type Socket } from "node:net";
import { command, commandHead, magic } from "../src/wire/commands.ts";
import { type Frame, FrameReader } from "../src/wire/frames.ts";
import type { FakeNsqdOptions } from "./fake-nsqd.ts";
import type { NsqdServer } from "./server.ts";

/**
 * A step of a conversation: what a client says, or what happens to it or the server, and how many
 * frames it waits for. `$1` stands for the id of the first message that arrived.
 */
export type Step =
  | {
      readonly client: string;
      readonly says: string;
      /** Of commands with a body. */
      readonly body?: string;
      readonly hears?: number;
      /** Whether the server closes the connection after that. */
      readonly closes?: boolean;
    }
  | { readonly client: string; readonly hears: number }
  | { readonly client: string; readonly leaves: true }
  | { readonly server: "kill" | "stop" | "start" };

/** What clients say to a server whose responses are recorded. */
export interface Conversation {
  readonly name: string;
  readonly options?: FakeNsqdOptions;
  readonly steps: readonly Step[];
}

const quick = '{"feature_negotiation":false,"output_buffer_size":-1,"msg_timeout":1000}';
const bigBody = "x".repeat(1_048_577);

/** A client that subscribes, and its first frames. */
function joins(client: string, topic: string, channel: string, ready = 10): readonly Step[] {
  return [
    { client, says: "IDENTIFY", body: quick, hears: 1 },
    { client, says: `SUB ${topic} ${channel}`, hears: 1 },
    { client, says: `RDY ${ready}` },
  ];
}

/** A connection that says one thing, which the server refuses. */
function refused(says: string, body?: string): Conversation {
  const last: Step = {
    client: "a",
    says,
    ...(body === undefined ? {} : { body }),
    hears: 1,
    closes: true,
  };
  return {
    name: `refuses ${says.slice(0, 40).trim()} ${(body ?? "").slice(0, 24)}`.trim(),
    steps: [last],
  };
}

export const conversations: readonly Conversation[] = [
  {
    name: "agrees on features",
    steps: [
      { client: "a", says: "IDENTIFY", body: '{"feature_negotiation":true}', hears: 1 },
      {
        client: "b",
        says: "IDENTIFY",
        body: '{"feature_negotiation":true,"heartbeat_interval":5000,"output_buffer_size":-1,"output_buffer_timeout":-1,"msg_timeout":30000,"tls_v1":true}',
        hears: 1,
      },
      { client: "c", says: "IDENTIFY", body: '{"client_id":"c"}', hears: 1 },
      { client: "c", says: "NOP" },
      { client: "c", says: "PUB features", body: "x", hears: 1 },
    ],
  },
  {
    name: "sends heartbeats",
    steps: [
      { client: "a", says: "IDENTIFY", body: '{"heartbeat_interval":1000}', hears: 1 },
      { client: "a", hears: 1 },
      { client: "a", says: "NOP", hears: 1 },
    ],
  },
  {
    name: "gives what came before the first channel to that, and later messages to all",
    steps: [
      { client: "p", says: "PUB first", body: "early", hears: 1 },
      ...joins("a", "first", "one"),
      { client: "a", hears: 1 },
      ...joins("b", "first", "two"),
      { client: "p", says: "PUB first", body: "late", hears: 1 },
      { client: "a", hears: 1 },
      { client: "b", hears: 1 },
    ],
  },
  {
    name: "delivers again after the time of a message, which TOUCH renews",
    steps: [
      ...joins("a", "touch", "one"),
      { client: "p", says: "PUB touch", body: "x", hears: 1 },
      { client: "a", hears: 1 },
      { client: "a", says: "TOUCH $1" },
      { client: "a", hears: 1 },
      { client: "a", says: "FIN $1" },
      { client: "a", says: "TOUCH $1", hears: 1 },
      { client: "a", says: "FIN $1", hears: 1 },
      { client: "a", says: "REQ $1 0", hears: 1 },
    ],
  },
  {
    name: "delivers again after the longest time, whatever TOUCH says",
    options: { msgTimeoutMs: 1_000, maxMsgTimeoutMs: 1_500 },
    steps: [
      ...joins("a", "longest", "one"),
      { client: "p", says: "PUB longest", body: "x", hears: 1 },
      { client: "a", hears: 1 },
      { client: "a", says: "TOUCH $1" },
      { client: "a", says: "TOUCH $1" },
      { client: "a", hears: 1 },
    ],
  },
  {
    name: "requeues at once and later, and counts deliveries",
    steps: [
      ...joins("a", "again", "one"),
      { client: "p", says: "PUB again", body: "x", hears: 1 },
      { client: "a", hears: 1 },
      { client: "a", says: "REQ $1 0", hears: 1 },
      { client: "a", says: "REQ $1 150", hears: 1 },
      { client: "a", says: "FIN $1" },
      { client: "p", says: "DPUB again 100", body: "deferred", hears: 1 },
      { client: "a", hears: 1 },
    ],
  },
  {
    name: "lets only the connection that has a message finish it",
    steps: [
      ...joins("a", "owner", "one", 1),
      { client: "p", says: "PUB owner", body: "x", hears: 1 },
      { client: "a", hears: 1 },
      ...joins("b", "owner", "one"),
      { client: "b", says: "FIN $1", hears: 1 },
      { client: "b", says: "REQ $1 0", hears: 1 },
      { client: "b", says: "TOUCH $1", hears: 1 },
      { client: "a", says: "FIN $1" },
      { client: "a", says: "FIN $1", hears: 1 },
      { client: "b", says: "FIN $1", hears: 1 },
    ],
  },
  {
    name: "gives the messages of a connection that ended to another after their time",
    steps: [
      ...joins("a", "ended", "one"),
      { client: "p", says: "PUB ended", body: "x", hears: 1 },
      { client: "a", hears: 1 },
      ...joins("b", "ended", "one"),
      { client: "a", leaves: true },
      { client: "b", hears: 1 },
    ],
  },
  {
    name: "sends no more messages than RDY allows, and none after CLS",
    steps: [
      ...joins("a", "ready", "one", 1),
      { client: "p", says: "PUB ready", body: "1", hears: 1 },
      { client: "p", says: "PUB ready", body: "2", hears: 1 },
      { client: "p", says: "PUB ready", body: "3", hears: 1 },
      { client: "a", hears: 1 },
      { client: "a", says: "FIN $1", hears: 1 },
      { client: "a", says: "CLS", hears: 1 },
      { client: "a", says: "RDY 5" },
      { client: "a", says: "FIN $2" },
      { client: "a", says: "FIN $2", hears: 1 },
    ],
  },
  {
    name: "ends an ephemeral channel with its last client",
    steps: [
      ...joins("k", "fleeting", "kept"),
      ...joins("a", "fleeting", "one#ephemeral", 0),
      { client: "p", says: "PUB fleeting", body: "gone", hears: 1 },
      { client: "k", hears: 1 },
      { client: "a", leaves: true },
      { client: "k", says: "FIN $1" },
      { client: "k", says: "FIN $1", hears: 1 },
      ...joins("b", "fleeting", "one#ephemeral"),
      { client: "p", says: "PUB fleeting", body: "next", hears: 1 },
      { client: "b", hears: 1 },
      { client: "k", hears: 1 },
    ],
  },
  {
    name: "loses everything when it is killed",
    steps: [
      ...joins("a", "killed", "one", 1),
      { client: "p", says: "PUB killed", body: "in flight", hears: 1 },
      { client: "p", says: "PUB killed", body: "in memory", hears: 1 },
      { client: "a", hears: 1 },
      { server: "kill" },
      { server: "start" },
      ...joins("b", "killed", "one"),
      { client: "q", says: "PUB killed", body: "after", hears: 1 },
      { client: "b", hears: 1 },
    ],
  },
  {
    name: "keeps everything when it is stopped",
    steps: [
      ...joins("a", "stopped", "one", 1),
      { client: "p", says: "PUB stopped", body: "in flight", hears: 1 },
      { client: "a", hears: 1 },
      { server: "stop" },
      { server: "start" },
      ...joins("b", "stopped", "one"),
      { client: "b", hears: 1 },
      { client: "b", says: "FIN $1" },
    ],
  },
  refused("PUB a*", "x"),
  refused(`PUB ${"t".repeat(65)}`, "x"),
  refused("PUB empty", ""),
  refused("PUB large", bigBody),
  refused("SUB topic chan*nel"),
  refused("SUB top/ic one"),
  refused("HELLO"),
  refused("RDY 1"),
  refused("FIN 0123456789abcdef"),
  refused("CLS"),
  refused("AUTH", "s3cret"),
  refused("IDENTIFY", '{"msg_timeout":999}'),
  refused("IDENTIFY", '{"msg_timeout":900001}'),
  refused("IDENTIFY", '{"heartbeat_interval":1}'),
  refused("IDENTIFY", '{"output_buffer_timeout":1}'),
  {
    name: "refuses another SUB, another IDENTIFY, and too large a RDY",
    steps: [
      ...joins("a", "twice", "one"),
      { client: "a", says: "SUB twice two", hears: 1, closes: true },
      ...joins("b", "twice", "one"),
      { client: "b", says: "IDENTIFY", body: "{}", hears: 1, closes: true },
      ...joins("c", "twice", "one"),
      { client: "c", says: "RDY 2501", hears: 1, closes: true },
    ],
  },
];

/** What a client heard in the order of its frames, without what differs from run to run. */
export type Heard = Readonly<Record<string, readonly string[]>>;

/** Holds a conversation with a server, and waits for everything that it is to say. */
export async function hold(conversation: Conversation, server: NsqdServer): Promise<Heard> {
  const ids: string[] = [];
  const clients = new Map<string, Talker>();
  const all = new Map<string, Talker>();
  const clientOf = (name: string) => {
    let client = clients.get(name);
    if (client === undefined) {
      client = new Talker(server.port, ids);
      clients.set(name, client);
      all.set(name, client);
    }
    return client;
  };
  for (const step of conversation.steps) {
    if ("server" in step) {
      await server[step.server]();
      continue;
    }
    const client = clientOf(step.client);
    if ("leaves" in step) {
      await client.leave();
      continue;
    }
    if ("says" in step) client.say(step.says, step.body);
    await client.hear(step.hears ?? 0);
    if ("closes" in step && step.closes === true) await client.closed;
  }
  for (const client of all.values()) await client.leave();
  return Object.fromEntries([...all].map(([name, { heard }]) => [name, heard]));
}

class Talker {
  readonly heard: string[] = [];
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #ids: string[];
  readonly #reader = new FrameReader(1 << 21);
  #waitedFor = 0;
  #wake: () => void = () => {};

  constructor(port: number, ids: string[]) {
    this.#ids = ids;
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        resolve();
        this.#wake();
      });
    });
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const frame of this.#reader.push(chunk)) this.heard.push(this.#textOf(frame));
      this.#wake();
    });
    socket.write(magic);
  }

  say(words: string, body: string | undefined): void {
    const line = words.replace(/\$(\d)/g, (_, number) => this.#ids[Number(number) - 1] ?? "");
    if (body === undefined) this.#socket.write(command(line));
    else this.#socket.write(Buffer.concat([commandHead(line, body.length), Buffer.from(body)]));
  }

  /** Waits for so many more frames. */
  async hear(count: number): Promise<void> {
    this.#waitedFor += count;
    while (this.heard.length < this.#waitedFor) {
      if (this.#socket.destroyed) throw new Error(`closed after ${JSON.stringify(this.heard)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async leave(): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.end();
    await this.closed;
  }

  #textOf(frame: Frame): string {
    if (frame.type !== "message") {
      const text = frame.data.toString();
      return this.#ids.reduce((said, id, index) => said.replaceAll(id, `$${index + 1}`), text);
    }
    const { id, attempts, body } = frame;
    if (!this.#ids.includes(id)) this.#ids.push(id);
    return `message $${this.#ids.indexOf(id) + 1}, attempt ${attempts}: ${body}`;
  }
}
