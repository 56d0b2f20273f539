import "reflect-metadata";
import { createServer } from "node:net";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, MessagePattern, Transport } from "@nestjs/microservices";
import { firstValueFrom } from "rxjs";
import type { BenchCaller, Contender } from "../contender.ts";

/** Nest's TCP messages are JSON, so bytes travel as base64, as a user of it would send them. */
class Bench {
  echo(message: { payload: string }): { payload: string } {
    return message;
  }
}
// Decorators by hand, because erasable TypeScript has none.
MessagePattern("echo")(
  Bench.prototype,
  "echo",
  Object.getOwnPropertyDescriptor(Bench.prototype, "echo") as never,
);
Controller()(Bench);
class Root {}
Module({ controllers: [Bench] })(Root);

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function connect(address: string): Promise<BenchCaller> {
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: "127.0.0.1", port: Number(address) },
  });
  await client.connect();
  return {
    async unary(payload) {
      const message = {
        payload: Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("base64"),
      };
      const answer = await firstValueFrom(client.send<{ payload: string }>("echo", message));
      return Buffer.from(answer.payload, "base64").length;
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
