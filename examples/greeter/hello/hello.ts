import { createClient } from "@micro-es/runtime";
import { createGreeterClient } from "../src/gen/greeter/v1/greeter_micro.ts";

/** Calls a greeter by address, in the native protocol; `http://127.0.0.1:8080` would use gRPC. */
await using client = createClient();
const greeter = createGreeterClient(client);
const { message } = await greeter.hello({ name: "Ada" }, { address: "127.0.0.1:8080" });
console.log(message);
