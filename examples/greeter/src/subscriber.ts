import { createService } from "@micro-es/runtime";
import { GreetedTopic } from "./gen/greeter/v1/greeter_micro.ts";

const service = createService({ name: "greeting-log" });
let received = 0;

process.on("message", (question) => {
  if (question === "received?") process.send?.({ received });
});
process.channel?.unref();
service.onReady(async () => {
  await GreetedTopic.subscribe(service.broker, ({ name, server }) => {
    received++;
    if (process.send === undefined) console.log(`${server} greeted ${name}`);
  });
  process.send?.({ ready: service.server.addresses });
});

await service.run();
