import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ownNetwork, type Program, start, until } from "../../support/processes.ts";

/**
 * Generates code, starts all programs, and checks the results. Exits with status 0 on success, and
 * with status 1 and the reason otherwise.
 */

const here = import.meta.dirname;
const repository = join(here, "../../..");
const network = ownNetwork();
const programs: Program[] = [];
const began = performance.now();
let steps = 0;

function step(title: string): void {
  console.log(`\n${++steps}. ${title}`);
}

function print(line: string): void {
  console.log(`  ${line}`);
}

function check(fact: boolean, reason: string): void {
  if (!fact) throw new Error(reason);
}

function program(name: string, file: string): Program {
  const it = start(name, join(here, file), { ...network, GREETER_NAME: name });
  programs.push(it);
  return it;
}

async function sum(askers: readonly Program[], question: string, member: string): Promise<number> {
  const counts = await Promise.all(askers.map((it) => it.ask(question, member)));
  return counts.reduce<number>((total, count) => total + Number(count), 0);
}

async function demo(): Promise<void> {
  step("Generate: greeter.proto becomes a typed client, a handler interface and a topic");
  const template = join(here, "../buf.gen.yaml");
  const buf = join(repository, "node_modules/@bufbuild/buf/bin/buf");
  await promisify(execFile)(process.execPath, [buf, "generate", "--template", template], {
    cwd: repository,
    env: { ...process.env, PATH: `${join(repository, "node_modules/.bin")}:${process.env.PATH}` },
  });
  print("examples/greeter/src/gen/greeter/v1/greeter_micro.ts");

  step("Start: two servers and a subscriber, each a process with a free port");
  const red = program("red", "server.ts");
  const blue = program("blue", "server.ts");
  const log = program("log", "subscriber.ts");
  for (const it of [red, blue, log]) {
    print(`${it.name.padEnd(5)} process ${it.pid} listens at ${String(await it.told("ready"))}`);
  }

  step("Call: a client in another process finds them by the name greeter");
  const client = program("client", "client.ts");
  const calls = Number(await client.told("calls"));
  const calm = (await client.ask("spread?", "spread")) as Record<string, number>;
  check(
    calm.red !== undefined && calm.blue !== undefined,
    `one server got no call: ${JSON.stringify(calm)}`,
  );

  step("Events: every greeting was published; which processes received it?");
  const servers = [red, blue];
  const counted = await until(
    "greetings counted by the queue group",
    () => sum(servers, "counted?", "counted"),
    (count) => count >= calls,
  );
  const received = await until(
    "greetings received by the subscriber",
    () => sum([log], "received?", "received"),
    (count) => count >= calls,
  );
  print(`${calls} published`);
  print(`${counted} counted by red and blue together: a queue group gets each event once`);
  print(`${received} received by log: a subscriber outside the group gets all`);
  check(counted === calls, `the queue group counted ${counted} of ${calls} greetings`);
  check(received === calls, `the subscriber received ${received} of ${calls} greetings`);

  step("Failure: red is killed in the middle of 200 calls");
  const halfway = client.told("halfway");
  const survived = client.ask("more", "survived");
  await halfway;
  await red.kill();
  print(`red, process ${red.pid}, was killed without warning`);
  const { succeeded, failed } = (await survived) as { succeeded: number; failed: number };
  check(succeeded === 200 && failed === 0, `${failed} of 200 calls failed`);

  step("Stop: after SIGTERM, each process finishes what is in flight");
  check((await client.ended) === 0, "the client failed");
  for (const it of [blue, log]) {
    const code = await it.stop();
    print(`${it.name.padEnd(5)} ended with code ${code}`);
    check(code === 0, `${it.name} ended with code ${code}`);
  }
}

console.log(
  "Micro-ES: from a .proto to services that find and call each other and exchange events",
);
try {
  await demo();
  console.log(`\nEverything worked, in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
} catch (error) {
  console.error(`\nFailed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  for (const it of programs) await it[Symbol.asyncDispose]();
}
