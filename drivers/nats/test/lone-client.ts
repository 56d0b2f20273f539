import { natsParts } from "@micro-es/nats";
import { createClient } from "@micro-es/runtime";
import { createEchoServiceClient } from "@micro-es/test-support/echo";

// A program that is only a client: it ends when its client is closed.
const { servers } = JSON.parse(process.argv[2] ?? "{}") as { readonly servers: string };
const client = createClient({ ...natsParts({ servers }) });
const { text } = await createEchoServiceClient(client).echo({ text: "hello" });
console.log(text);
await client.close();
