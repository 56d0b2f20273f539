import { createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Channel, type Client, type Message, Topic } from "./fake-queues.ts";

/** Settings of a {@link FakeNsqd}, by the names of nsqd's flags. */
export interface FakeNsqdOptions {
  readonly msgTimeoutMs?: number;
  readonly maxMsgTimeoutMs?: number;
  readonly maxMsgSize?: number;
  readonly maxRdyCount?: number;
  /** Messages that an ephemeral channel keeps. */
  readonly memQueueSize?: number;
  /** PEM of a certificate; `tlsRequired` refuses clients that do not use it. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly tlsRequired?: boolean;
  /** The secrets that AUTH takes. */
  readonly secrets?: readonly string[];
}

const version = "1.3.0";
const validName = /^[.a-zA-Z0-9_-]+(#ephemeral)?$/;

/** An error that ends the connection, unless it is about one message. */
class Refusal extends Error {}

/**
 * Behaves as nsqd 1.3.0 does, as far as the driver can see it: `fake-nsqd.test.ts` holds it to
 * conversations that were recorded with nsqd.
 */
export class FakeNsqd implements AsyncDisposable {
  readonly options: Required<Omit<FakeNsqdOptions, "tls" | "secrets">> & FakeNsqdOptions;
  readonly #topics = new Map<string, Topic>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #ids = 0;

  constructor(options: FakeNsqdOptions = {}) {
    this.options = {
      msgTimeoutMs: 60_000,
      maxMsgTimeoutMs: 900_000,
      maxMsgSize: 1_048_576,
      maxRdyCount: 2_500,
      memQueueSize: 10_000,
      tlsRequired: false,
      ...options,
    };
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as { port: number }).port;
  }

  /** Ends at once: everything that was in memory is gone. */
  async kill(): Promise<void> {
    for (const topic of this.#topics.values()) topic.close();
    this.#topics.clear();
    await this.#close();
  }

  /** Ends gently: messages of topics and channels are kept, those in flight too. */
  async stop(): Promise<void> {
    await this.#close();
    for (const topic of this.#topics.values()) topic.restart();
  }

  /** As nsqd's statistics tell: what a channel has, in flight or not; undefined without it. */
  depth(topic: string, channel: string): number | undefined {
    return this.#topics.get(topic)?.channels.get(channel)?.depth;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new Topic(this.options);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  newMessage(body: Buffer): Message {
    const id = (++this.#ids).toString(16).padStart(16, "0");
    return { id, body, timestamp: BigInt(Date.now()) * 1_000_000n, attempts: 0 };
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    const client = new ClientConnection(this, socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      client.gone();
    });
    socket.on("error", () => socket.destroy());
  }
}

class ClientConnection implements Client {
  readonly #nsqd: FakeNsqd;
  #socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #hasMagic = false;
  #isIdentified = false;
  #isClosing = false;
  #isEncrypted = false;
  #isAuthorized = false;
  #isOver = false;
  #channel: Channel | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  /** When the output buffer is sent, in milliseconds; 0 sends at once. */
  #bufferMs = 250;
  #buffer: Buffer[] = [];
  #flushing: NodeJS.Timeout | undefined;
  msgTimeoutMs: number;
  ready = 0;
  inFlight = 0;

  constructor(nsqd: FakeNsqd, socket: Socket) {
    this.#nsqd = nsqd;
    this.#socket = socket;
    this.msgTimeoutMs = nsqd.options.msgTimeoutMs;
    socket.on("data", this.#receive);
    this.#beat(30_000);
  }

  get canTake(): boolean {
    return !this.#isOver && this.inFlight < this.ready;
  }

  take(message: Message): void {
    const data = Buffer.alloc(26);
    data.writeBigInt64BE(message.timestamp, 0);
    data.writeUInt16BE(message.attempts, 8);
    data.write(message.id, 10, "latin1");
    this.#buffer.push(frame(2, Buffer.concat([data, message.body])));
    if (this.#bufferMs === 0 || !this.canTake) this.#flush();
    else this.#flushing ??= setTimeout(() => this.#flush(), this.#bufferMs);
  }

  gone(): void {
    this.#isOver = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#flushing);
    this.#channel?.leave(this);
  }

  readonly #receive = (chunk: Buffer): void => {
    this.#buffered = Buffer.concat([this.#buffered, chunk]);
    try {
      while (!this.#isOver && this.#next()) {}
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#send(1, error.message);
      this.#isOver = true;
      this.#socket.end();
    }
  };

  /** Executes the next command, if it has arrived whole. */
  #next(): boolean {
    if (!this.#hasMagic) {
      if (this.#buffered.length < 4) return false;
      const magic = this.#read(4).toString();
      if (magic !== "  V2") {
        this.#socket.destroy();
        return false;
      }
      this.#hasMagic = true;
    }
    const end = this.#buffered.indexOf("\n");
    if (end < 0) return false;
    const line = this.#buffered.toString("latin1", 0, end).replace(/\r$/, "");
    const [name = "", ...params] = line.split(" ");
    if (!["IDENTIFY", "AUTH", "PUB", "DPUB", "MPUB"].includes(name)) {
      this.#read(end + 1);
      this.#execute(name, params);
      return true;
    }
    if (this.#buffered.length < end + 5) return false;
    const size = this.#buffered.readInt32BE(end + 1);
    this.#checkSize(name, size);
    if (this.#buffered.length < end + 5 + size) return false;
    this.#read(end + 5);
    this.#execute(name, params, this.#read(size));
    return true;
  }

  #read(length: number): Buffer {
    const read = this.#buffered.subarray(0, length);
    this.#buffered = this.#buffered.subarray(length);
    return read;
  }

  #checkSize(name: string, size: number): void {
    const { maxMsgSize } = this.#nsqd.options;
    if (!name.endsWith("PUB") || name === "MPUB") return;
    if (size <= 0) throw new Refusal(`E_BAD_MESSAGE ${name} invalid message body size ${size}`);
    if (size > maxMsgSize) {
      throw new Refusal(`E_BAD_MESSAGE ${name} message too big ${size} > ${maxMsgSize}`);
    }
  }

  #execute(name: string, params: readonly string[], body: Buffer = Buffer.alloc(0)): void {
    const { tlsRequired } = this.#nsqd.options;
    if (name !== "IDENTIFY" && tlsRequired && !this.#isEncrypted) {
      throw new Refusal(`E_INVALID cannot ${name} in current state (TLS required)`);
    }
    const [first = "", second = ""] = params;
    switch (name) {
      case "IDENTIFY":
        this.#identify(body);
        break;
      case "AUTH":
        this.#authorize(body.toString());
        break;
      case "PUB":
      case "DPUB":
        this.#publish(name, first, Number(second), body);
        break;
      case "SUB":
        this.#subscribe(first, second);
        break;
      case "RDY":
        this.#setReady(first);
        break;
      case "FIN":
      case "REQ":
      case "TOUCH":
        this.#about(name, first, Number(second));
        break;
      case "CLS":
        if (this.#channel === undefined || this.#isClosing) {
          throw new Refusal("E_INVALID cannot CLS in current state");
        }
        this.ready = 0;
        this.#isClosing = true;
        this.#send(0, "CLOSE_WAIT");
        break;
      case "NOP":
        break;
      default:
        throw new Refusal(`E_INVALID invalid command ${name}`);
    }
  }

  #identify(body: Buffer): void {
    if (this.#isIdentified || this.#channel !== undefined) {
      throw new Refusal("E_INVALID cannot IDENTIFY in current state");
    }
    this.#isIdentified = true;
    const { options } = this.#nsqd;
    const asked = identity(body);
    this.#beat(interval("heartbeat interval", asked.heartbeat_interval, 30_000, 1_000, 60_000));
    const { msgTimeoutMs, maxMsgTimeoutMs } = options;
    this.msgTimeoutMs = interval(
      "msg timeout",
      asked.msg_timeout,
      msgTimeoutMs,
      1_000,
      maxMsgTimeoutMs,
    );
    const isUnbuffered = asked.output_buffer_size === -1 || asked.output_buffer_timeout === -1;
    if (isUnbuffered) this.#bufferMs = 0;
    else
      this.#bufferMs = interval(
        "output buffer timeout",
        asked.output_buffer_timeout,
        250,
        25,
        30_000,
      );
    if (asked.feature_negotiation !== true) {
      this.#send(0, "OK");
      return;
    }
    const isEncrypted = options.tls !== undefined && asked.tls_v1 === true;
    const features = {
      max_rdy_count: options.maxRdyCount,
      version,
      max_msg_timeout: maxMsgTimeoutMs,
      msg_timeout: this.msgTimeoutMs,
      tls_v1: isEncrypted,
      deflate: false,
      deflate_level: 6,
      max_deflate_level: 6,
      snappy: false,
      sample_rate: 0,
      auth_required: options.secrets !== undefined,
      output_buffer_size: asked.output_buffer_size === -1 ? 1 : 16_384,
      output_buffer_timeout: this.#bufferMs,
    };
    this.#send(0, JSON.stringify(features));
    if (isEncrypted) this.#encrypt();
  }

  #encrypt(): void {
    const plain = this.#socket;
    plain.removeListener("data", this.#receive);
    const { cert = "", key = "" } = this.#nsqd.options.tls ?? {};
    const socket = new TLSSocket(plain, { isServer: true, cert, key });
    this.#socket = socket;
    socket.on("data", this.#receive);
    socket.on("error", () => plain.destroy());
    socket.on("secure", () => {
      this.#isEncrypted = true;
      this.#send(0, "OK");
    });
  }

  #authorize(secret: string): void {
    const { secrets } = this.#nsqd.options;
    if (secrets === undefined) throw new Refusal("E_AUTH_DISABLED AUTH disabled");
    if (!secrets.includes(secret)) throw new Refusal("E_AUTH_FAILED AUTH failed");
    this.#isAuthorized = true;
    this.#send(0, JSON.stringify({ identity: secret, identity_url: "", permission_count: 1 }));
  }

  #checkAuth(name: string): void {
    if (this.#nsqd.options.secrets === undefined || this.#isAuthorized) return;
    throw new Refusal(`E_AUTH_FIRST AUTH required before ${name}`);
  }

  #publish(name: string, topic: string, delayMs: number, body: Buffer): void {
    checkName("E_BAD_TOPIC", `${name} topic`, topic);
    this.#checkAuth(name);
    const message = this.#nsqd.newMessage(Buffer.from(body));
    this.#nsqd.topic(topic).put(message, name === "DPUB" ? delayMs : 0);
    this.#send(0, "OK");
  }

  #subscribe(topic: string, channel: string): void {
    if (this.#channel !== undefined) throw new Refusal("E_INVALID cannot SUB in current state");
    checkName("E_BAD_TOPIC", "SUB topic", topic);
    checkName("E_BAD_CHANNEL", "SUB channel", channel);
    this.#checkAuth("SUB");
    this.#channel = this.#nsqd.topic(topic).join(channel, this);
    this.#send(0, "OK");
  }

  #setReady(count: string): void {
    if (this.#isClosing) return;
    if (this.#channel === undefined) throw new Refusal("E_INVALID cannot RDY in current state");
    const { maxRdyCount } = this.#nsqd.options;
    if (Number(count) > maxRdyCount) {
      throw new Refusal(`E_INVALID RDY count ${count} out of range 0-${maxRdyCount}`);
    }
    this.ready = Number(count);
    this.#channel.deliver();
  }

  #about(name: "FIN" | "REQ" | "TOUCH", id: string, delayMs: number): void {
    if (this.#channel === undefined) throw new Refusal(`E_INVALID cannot ${name} in current state`);
    const failure =
      name === "FIN"
        ? this.#channel.finish(this, id)
        : name === "REQ"
          ? this.#channel.requeue(this, id, delayMs)
          : this.#channel.touch(this, id);
    if (failure !== undefined) this.#send(1, `E_${name}_FAILED ${name} ${id} failed ${failure}`);
  }

  #beat(everyMs: number): void {
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#send(0, "_heartbeat_"), everyMs);
  }

  #send(type: 0 | 1, text: string): void {
    this.#buffer.push(frame(type, Buffer.from(text)));
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    if (this.#buffer.length === 0 || !this.#socket.writable) return;
    this.#socket.write(Buffer.concat(this.#buffer.splice(0)));
  }
}

function identity(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body.toString()) as Readonly<Record<string, unknown>>;
  } catch {
    throw new Refusal("E_BAD_BODY IDENTIFY failed to decode JSON body");
  }
}

function interval(
  what: string,
  asked: unknown,
  otherwise: number,
  least: number,
  most: number,
): number {
  if (asked === undefined || asked === 0) return otherwise;
  const ms = Number(asked);
  if (ms >= least && ms <= most) return ms;
  throw new Refusal(`E_BAD_BODY IDENTIFY ${what} (${ms}) is invalid`);
}

function checkName(word: string, what: string, name: string): void {
  if (name.length <= 64 && validName.test(name)) return;
  throw new Refusal(`${word} ${what} name ${JSON.stringify(name)} is not valid`);
}

function frame(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length + 4, 0);
  head.writeUInt32BE(type, 4);
  return Buffer.concat([head, data]);
}
