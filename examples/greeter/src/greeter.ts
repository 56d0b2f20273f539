import { setTimeout as sleep } from "node:timers/promises";
import { type Broker, type CallContext, MicroError } from "@micro-es/runtime";
import {
  GreetedTopic,
  type GreeterHandler,
  type HelloResponseInit,
  type LineInit,
  type TickInit,
} from "./gen/greeter/v1/greeter_micro.ts";
import type { Greeted, HelloRequest, Line, WatchRequest } from "./gen/greeter/v1/greeter_pb.ts";

/** Implements greeter.proto; `server` is the name in its responses. */
export class Greeter implements GreeterHandler {
  readonly #server: string;
  readonly #broker: Broker;
  #counted = 0;

  constructor(server: string, broker: Broker) {
    this.#server = server;
    this.#broker = broker;
  }

  /** Greetings that this greeter counted as a member of the queue group `stats`. */
  get counted(): number {
    return this.#counted;
  }

  async hello(request: HelloRequest, context: CallContext): Promise<HelloResponseInit> {
    if (request.name === "") throw new MicroError("invalid_argument", "the name is empty");
    await GreetedTopic.publish(
      this.#broker,
      { name: request.name, server: this.#server },
      { context },
    );
    return { message: `Hello ${request.name}`, server: this.#server };
  }

  async *watch(request: WatchRequest, context: CallContext): AsyncIterable<TickInit> {
    const pauseMs =
      Number(request.interval?.seconds ?? 0n) * 1000 + (request.interval?.nanos ?? 0) / 1e6;
    for (let number = 1; number <= request.count; number++) {
      await sleep(pauseMs, undefined, { signal: context.signal });
      yield { number, server: this.#server };
    }
  }

  async upload(requests: AsyncIterable<HelloRequest>): Promise<HelloResponseInit> {
    const names: string[] = [];
    for await (const { name } of requests) names.push(name);
    return { message: `Hello ${names.join(", ")}`, server: this.#server };
  }

  async *chat(lines: AsyncIterable<Line>): AsyncIterable<LineInit> {
    for await (const { text } of lines) yield { text: `${text.toUpperCase()}!` };
  }

  onGreeted(_greeted: Greeted): void {
    this.#counted++;
  }
}
