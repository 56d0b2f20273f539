import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@micro-es/runtime";
import { ownNetwork, start, until } from "../../support/processes.ts";
import { createChatClient } from "./gen/chat/v1/chat_micro.ts";

const network = ownNetwork();
Object.assign(process.env, network);
const file = (name: string) => join(import.meta.dirname, `${name}.ts`);

/** Runs a talker to its end and returns what it printed. */
async function talker(name: string): Promise<string> {
  const args = [...process.execArgv, file("talker"), name];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: process.env,
    timeout: 30_000,
  });
  return stdout;
}

try {
  await using server = start("chat", file("server"), network);
  console.log(`chat listens at ${String(await server.told("ready"))}`);
  await using client = createClient();
  const people = async () => (await createChatClient(client).rooms({})).rooms[0]?.people ?? [];

  console.log("Ada comes in, then Grace:");
  const ada = talker("Ada");
  await until("people in the room", people, (names) => names.includes("Ada"));
  const grace = talker("Grace");
  const outputs = await Promise.all([ada, grace]);
  for (const output of outputs) {
    process.stdout.write(output);
    for (const words of ["Ada: hello Grace", "Grace: how are you?", "Ada: fine, goodbye"]) {
      if (!output.includes(words)) throw new Error(`a person did not receive "${words}"`);
    }
  }
  await until("people in the room", people, (names) => names.length === 0);
  console.log("the room is empty again");
  const code = await server.stop();
  if (code !== 0) throw new Error(`chat ended with code ${code}`);
} catch (error) {
  console.error(`Failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
