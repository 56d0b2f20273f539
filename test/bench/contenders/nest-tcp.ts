import "reflect-metadata";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, EventPattern, MessagePattern, Transport } from "@nestjs/microservices";
import { firstValueFrom, lastValueFrom } from "rxjs";
import { freePort } from "../../support/free-ports.ts";
import type { BenchCaller, Contender } from "../contender.ts";

/** Nest's TCP messages are JSON, so bytes are sent as base64, as one of its users would do. */
class Bench {
  #received = 0;

  echo(message: { payload: string }): { payload: string } {
    return message;
  }
  event(_message: { payload: string }): void {
    this.#received++;
  }
  received(): number {
    return this.#received;
  }
}
// Decorators are applied by hand, because erasable TypeScript has none.
function decorate(decorator: unknown, name: "echo" | "event" | "received"): void {
  const descriptor = Object.getOwnPropertyDescriptor(Bench.prototype, name);
  (decorator as MethodDecorator)(Bench.prototype, name, descriptor as PropertyDescriptor);
}
decorate(MessagePattern("echo"), "echo");
decorate(EventPattern("event"), "event");
decorate(MessagePattern("received"), "received");
Controller()(Bench);
class Root {}
Module({ controllers: [Bench] })(Root);

function base64({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("base64");
}

async function connect(address: string): Promise<BenchCaller> {
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: "127.0.0.1", port: Number(address) },
  });
  await client.connect();
  const received = () => firstValueFrom(client.send<number>("received", {}));
  return {
    async unary(payload) {
      const message = { payload: base64(payload) };
      const answer = await firstValueFrom(client.send<{ payload: string }>("echo", message));
      return Buffer.from(answer.payload, "base64").length;
    },
    /** Its events go from client to server; the server is asked for the number received. */
    async publish(payload, count) {
      const before = await received();
      const message = { payload: base64(payload) };
      const emitted = Array.from({ length: count }, () =>
        lastValueFrom(client.emit("event", message), { defaultValue: undefined }),
      );
      await Promise.all(emitted);
      let came = 0;
      while (came < count) came = (await received()) - before;
      return came;
    },
    async connectOnce() {
      const fresh = await connect(address);
      await fresh.unary?.(new Uint8Array(64));
      await fresh.close();
    },
    async close() {
      await client.close();
    },
  };
}

export const contender: Contender = {
  name: "nest-tcp",
  about: "NestJS microservices over TCP, JSON",
  async serve() {
    const port = await freePort();
    const app = await NestFactory.createMicroservice(Root, {
      transport: Transport.TCP,
      options: { host: "127.0.0.1", port },
      logger: false,
    });
    await app.listen();
    return { address: String(port), close: () => app.close() };
  },
  connect,
};
