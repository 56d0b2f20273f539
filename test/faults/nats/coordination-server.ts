import { connect } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { StoreServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<StoreServer> {
  const nats = await startNats();
  return {
    url: nats.url,
    port: nats.port,
    kill: () => nats.stop("SIGKILL"),
    start: () => nats.start(),
    async hasKeys() {
      const tools = await connect({ servers: nats.url });
      try {
        const bucket = await tools.jetstream().views.kv("micro-store", { bindOnly: true });
        for await (const key of await bucket.keys()) if (key.startsWith("key/")) return true;
        return false;
      } finally {
        await tools.close();
      }
    },
    // Their writer removes them.
    keepsExpiredMs: 1_000,
    [Symbol.asyncDispose]: () => nats.close(),
  };
}
