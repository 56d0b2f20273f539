import { setImmediate as turn } from "node:timers/promises";
import { createService } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { EchoedSchema } from "../../gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../support/echo.ts";
import { registerEcho } from "../../support/server.ts";

// Uses every part of a service, stops it, and reports what is left open. It must exit by itself.

const service = createService({ name: "echo" });
const echoed = createTopic({ name: "echo.echoed", codec: protobufCodec(EchoedSchema) });
let heard = () => {};
const event = new Promise<void>((resolve) => {
  heard = resolve;
});
registerEcho(service.server);
service.server.subscribe(echoed, () => heard());
await service.start();
await service.client.unary(echo.echo, { text: "hello" });
for await (const _ of service.client.serverStream(echo.repeat, { count: 3 }));
await echoed.publish(service.broker, { number: 1 });
await event;
await service.store.write("key", new Uint8Array([1]), { ttlMs: 60_000 });
await service.stop();

// Node drops a closed handle from this list a turn of the event loop later.
let open = process.getActiveResourcesInfo();
for (let turns = 0; turns < 100 && open.some((name) => /TCP|UDP|Timeout/.test(name)); turns++) {
  await turn();
  open = process.getActiveResourcesInfo();
}
process.channel?.unref();
process.send?.({ open });
