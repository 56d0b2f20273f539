/** A message of nsqd; each channel has a copy of its own. */
export interface Message {
  readonly id: string;
  readonly body: Buffer;
  readonly timestamp: bigint;
  attempts: number;
}

/** A connection that takes messages of a channel. */
export interface Client {
  readonly canTake: boolean;
  readonly msgTimeoutMs: number;
  /** Messages that it was given and has not finished. */
  inFlight: number;
  take(message: Message): void;
}

/** Settings of topics and channels. */
export interface QueueOptions {
  readonly maxMsgTimeoutMs: number;
  readonly memQueueSize: number;
}

/** How much later than nsqd a message is taken back from a client, in milliseconds. */
const graceMs = 20;

interface InFlight {
  readonly message: Message;
  readonly client: Client;
  readonly deliveredAt: number;
  timer: NodeJS.Timeout;
}

/** The messages of one topic; those from before the first channel go to that. */
export class Topic {
  readonly channels = new Map<string, Channel>();
  readonly #options: QueueOptions;
  #backlog: { readonly message: Message; readonly delayMs: number }[] = [];

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  put(message: Message, delayMs: number): void {
    if (this.channels.size === 0) this.#backlog.push({ message, delayMs });
    for (const channel of this.channels.values()) channel.put({ ...message }, delayMs);
  }

  join(name: string, client: Client): Channel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      const isEphemeral = name.endsWith("#ephemeral");
      const empty = () => this.channels.delete(name);
      channel = new Channel(this.#options, isEphemeral ? empty : undefined);
      this.channels.set(name, channel);
      for (const { message, delayMs } of this.#backlog.splice(0)) channel.put(message, delayMs);
    }
    channel.join(client);
    return channel;
  }

  close(): void {
    for (const channel of this.channels.values()) channel.close();
  }

  restart(): void {
    for (const channel of this.channels.values()) channel.restart();
  }
}

/** The messages of one channel, each of which goes to one of its clients. */
export class Channel {
  readonly #options: QueueOptions;
  /** Ends an ephemeral channel with its last client. */
  readonly #empty: (() => void) | undefined;
  readonly #clients = new Set<Client>();
  readonly #queue: Message[] = [];
  readonly #inFlight = new Map<string, InFlight>();
  readonly #deferred = new Map<
    string,
    { readonly message: Message; readonly timer: NodeJS.Timeout }
  >();
  #turn = 0;

  constructor(options: QueueOptions, empty: (() => void) | undefined) {
    this.#options = options;
    this.#empty = empty;
  }

  get depth(): number {
    return this.#queue.length + this.#inFlight.size + this.#deferred.size;
  }

  join(client: Client): void {
    this.#clients.add(client);
  }

  /** Messages in flight stay so until their time is over. */
  leave(client: Client): void {
    if (!this.#clients.delete(client) || this.#clients.size > 0 || this.#empty === undefined)
      return;
    this.close();
    this.#empty();
  }

  put(message: Message, delayMs: number): void {
    if (delayMs > 0) {
      this.#defer(message, delayMs);
      return;
    }
    if (this.#empty !== undefined && this.#queue.length >= this.#options.memQueueSize) return;
    this.#queue.push(message);
    this.deliver();
  }

  deliver(): void {
    while (this.#queue.length > 0) {
      const able = [...this.#clients].filter(({ canTake }) => canTake);
      if (able.length === 0) return;
      const client = able[this.#turn++ % able.length] as Client;
      const message = this.#queue.shift() as Message;
      message.attempts++;
      const deliveredAt = performance.now();
      const timer = this.#timeOut(message, client.msgTimeoutMs);
      this.#inFlight.set(message.id, { message, client, deliveredAt, timer });
      client.inFlight++;
      client.take(message);
    }
  }

  /** @returns why it failed, if so. */
  finish(client: Client, id: string): string | undefined {
    const found = this.#take(client, id);
    if (typeof found === "string") return found;
    client.inFlight--;
    this.deliver();
    return undefined;
  }

  requeue(client: Client, id: string, delayMs: number): string | undefined {
    const found = this.#take(client, id);
    if (typeof found === "string") return found;
    client.inFlight--;
    this.put(found.message, delayMs);
    this.deliver();
    return undefined;
  }

  touch(client: Client, id: string): string | undefined {
    const found = this.#take(client, id);
    if (typeof found === "string") return found;
    const { message, deliveredAt } = found;
    const left = deliveredAt + this.#options.maxMsgTimeoutMs - performance.now();
    const timer = this.#timeOut(message, Math.min(client.msgTimeoutMs, left));
    this.#inFlight.set(id, { ...found, timer });
    return undefined;
  }

  close(): void {
    for (const { timer } of [...this.#inFlight.values(), ...this.#deferred.values()]) {
      clearTimeout(timer);
    }
    this.#inFlight.clear();
    this.#deferred.clear();
    this.#queue.length = 0;
  }

  /** What it had is in its queue. */
  restart(): void {
    const kept = [
      ...this.#queue,
      ...[...this.#inFlight.values(), ...this.#deferred.values()].map(({ message }) => message),
    ];
    this.close();
    this.#clients.clear();
    this.#queue.push(...kept);
  }

  #take(client: Client, id: string): InFlight | string {
    const found = this.#inFlight.get(id);
    if (found === undefined) return "ID not in flight";
    if (found.client !== client) return "client does not own message";
    clearTimeout(found.timer);
    this.#inFlight.delete(id);
    return found;
  }

  /** A busy process first reads what its clients have sent before the time was over. */
  #timeOut(message: Message, ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const found = this.#inFlight.get(message.id);
      if (found !== undefined) found.timer = setTimeout(() => this.#takeBack(message), graceMs);
    }, ms);
  }

  #takeBack(message: Message): void {
    const found = this.#inFlight.get(message.id);
    if (found === undefined) return;
    this.#inFlight.delete(message.id);
    found.client.inFlight--;
    this.put(message, 0);
    this.deliver();
  }

  #defer(message: Message, ms: number): void {
    const timer = setTimeout(() => {
      this.#deferred.delete(message.id);
      this.put(message, 0);
    }, ms);
    this.#deferred.set(message.id, { message, timer });
  }
}
