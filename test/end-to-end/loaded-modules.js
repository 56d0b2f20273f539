/**
 * Starts a service with a generated handler and says, as a line of JSON a stage, which packages and which modules of Node are loaded beyond those
 * that listening itself needs: when it listens, and when it has answered its first HTTP request.
 */
import { once } from "node:events";
import { Session } from "node:inspector";
import { builtinModules } from "node:module";
import { createServer } from "node:net";

const bare = createServer().listen(0, "127.0.0.1");
await once(bare, "listening");
bare.close();
const before = new Set(process.moduleLoadList);
const packages = new Set();
const session = new Session();
session.connect();
session.on("Debugger.scriptParsed", ({ params: { url } }) => {
  const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (name !== undefined) packages.add(name);
});
session.post("Debugger.enable");

function say(stage, text) {
  const builtins = process.moduleLoadList
    .filter((it) => !before.has(it))
    .map((it) => it.replace("NativeModule ", ""))
    .filter((it) => builtinModules.includes(it));
  console.log(
    JSON.stringify({ stage, text, packages: [...packages].sort(), builtins: builtins.sort() }),
  );
}

const { createService, memoryRegistry, silentLogger } = await import("@micro-es/runtime");
const { createHelloClient, registerHelloHandler } = await import("./gen/hello_micro.js");
const service = createService({
  name: "hello",
  registry: memoryRegistry(),
  address: "127.0.0.1:0",
  logger: silentLogger,
});
registerHelloHandler(service.server, {
  say: ({ text, at }) => ({ text, at }),
  wait: () => ({}),
});
await service.start();
say("listening");
const hello = createHelloClient(service.client);
await hello.say({ text: "a".repeat(100_000), at: { seconds: 1n } });
await hello.wait({});
say("answered a call");
const { request } = await import("node:http");
const url = `http://${service.server.addresses[0]}/hello.Hello/Say`;
const json = { method: "POST", headers: { "content-type": "application/json" } };
const answer = await new Promise((resolve) => request(url, json, resolve).end('{"text":"ok"}'));
const text = Buffer.concat(await answer.toArray()).toString();
say("answered HTTP", text);
await service.stop(0);
session.disconnect();
