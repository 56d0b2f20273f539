import {
  type AnyMethod,
  type Awaitable,
  type Method,
  MicroError,
  type Transport,
} from "@micro-es/runtime";
import type {
  Channel,
  ChannelState,
  DialOptions,
  Listener,
  OutgoingCall,
} from "@micro-es/runtime/driver";

/** One attempt, as it reaches a scripted transport. */
export interface ScriptedCall {
  readonly channel: ScriptedChannel;
  readonly address: string;
  readonly method: AnyMethod;
  readonly request: unknown;
  readonly call: OutgoingCall;
}

/** A transport whose behaviour a test scripts, at addresses such as `memory:a`. */
export class ScriptedTransport implements Transport {
  readonly name = "scripted";
  readonly protocol = "scripted";
  readonly guarantees = {
    reach: "process",
    flowControl: "none",
    cancellation: true,
    drain: false,
    fullMetadata: true,
    resumption: false,
    encrypted: true,
    maxMessageBytes: Number.MAX_SAFE_INTEGER,
  } as const;
  /** Every dial, in order. */
  readonly dials: string[] = [];
  /** Every unary attempt, in order. */
  readonly calls: ScriptedCall[] = [];
  readonly channels: ScriptedChannel[] = [];
  /**
   * Whether its channels are established once they are dialled, or only with their first response.
   */
  hasHandshake = true;
  /** Throws where a dial is to fail. */
  onDial: (address: string) => Awaitable<void> = () => undefined;
  /** Answers unary calls. */
  onUnary: (call: ScriptedCall) => Awaitable<unknown> = () => ({ text: "ok" });
  /** Answers streams. */
  onStream: (
    call: Omit<ScriptedCall, "request">,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
  ) => AsyncIterable<unknown> = async function* () {};

  accepts(address: string): boolean {
    return address.startsWith("memory:");
  }

  async dial(address: string, { signal }: DialOptions = {}): Promise<Channel> {
    this.dials.push(address);
    await Promise.race([this.onDial(address), aborted(signal)]);
    const channel = new ScriptedChannel(this, address);
    this.channels.push(channel);
    return channel;
  }

  listen(): Promise<Listener> {
    throw new Error("a scripted transport listens nowhere");
  }

  /** Channels that are not closed. */
  get open(): ScriptedChannel[] {
    return this.channels.filter((channel) => channel.state !== "closed");
  }
}

export class ScriptedChannel implements Channel {
  readonly address: string;
  readonly closed: Promise<MicroError | undefined>;
  state: ChannelState = "open";
  openCalls = 0;
  isEstablished: boolean;
  readonly #transport: ScriptedTransport;
  #settle: (reason: MicroError | undefined) => void = () => undefined;

  constructor(transport: ScriptedTransport, address: string) {
    this.#transport = transport;
    this.isEstablished = transport.hasHandshake;
    this.address = address;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O> {
    const scripted = {
      channel: this,
      address: this.address,
      method: method as unknown as AnyMethod,
      request,
      call,
    };
    this.#transport.calls.push(scripted);
    this.openCalls++;
    try {
      const response = (await this.#transport.onUnary(scripted)) as O;
      this.isEstablished = true;
      return response;
    } finally {
      this.openCalls--;
    }
  }

  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O> {
    return this.#transport.onStream(
      { channel: this, address: this.address, method: method as unknown as AnyMethod, call },
      requests,
    ) as AsyncIterable<O>;
  }

  /** Ends the connection as if the other side were gone. */
  break(reason = new MicroError("unavailable", "the connection broke")): void {
    this.state = "closed";
    this.#settle(reason);
  }

  async close(): Promise<void> {
    this.state = "closed";
    this.#settle(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
