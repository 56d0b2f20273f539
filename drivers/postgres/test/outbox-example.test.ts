import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Outbox } from "@micro-es/postgres";
import { type Broker, memoryBroker } from "@micro-es/runtime";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { skipWithoutPostgres, startPostgres } from "./server.ts";

const repository = new URL("../../../", import.meta.url);
const folder = new URL(".cache/outbox-example/", repository);

interface Example {
  greet(pool: pg.Pool, outbox: Outbox, name: string): Promise<void>;
  startOutbox(broker: Broker, servers: string): Promise<Outbox>;
}

/** The program of docs/outbox.md, as it stands there. */
async function example(): Promise<Example> {
  const page = readFileSync(new URL("docs/outbox.md", repository), "utf8");
  const [, text = ""] = /```ts check file=greet\.ts\n([\s\S]*?)```/.exec(page) ?? [];
  const generated = fileURLToPath(new URL("examples/greeter/src/gen/", repository));
  const source = text.replace('"./gen/', `"${generated}`).replace("_micro.js", "_micro.ts");
  mkdirSync(folder, { recursive: true });
  const file = new URL("greet.ts", folder);
  writeFileSync(file, source);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return await import(file.href);
}

describe.skipIf(skipWithoutPostgres)("the example of the outbox", () => {
  test("publishes a greeting with its row, or neither", async () => {
    const { greet, startOutbox } = await example();
    await using server = await startPostgres();
    await server.run("create table greetings (name text unique)");
    await using broker = memoryBroker();
    const seen: (string | undefined)[] = [];
    await broker.subscribe("greeter.greeted", ({ key }) => void seen.push(key));
    await using outbox = await startOutbox(broker, server.address);
    const { user, database } = server.options;
    const pool = new pg.Pool({ host: "127.0.0.1", port: server.port, user, database });
    onTestFinished(() => pool.end());
    pool.on("error", () => {});
    await greet(pool, outbox, "Ada");
    await expect(greet(pool, outbox, "Ada")).rejects.toMatchObject({ code: "23505" });
    await greet(pool, outbox, "Grace");
    await expect.poll(() => seen).toEqual(["Ada", "Grace"]);
    await expect.poll(async () => (await outbox.status()).waiting).toBe(0);
  });
});
