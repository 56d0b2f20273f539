import { startConsul } from "../../../drivers/consul/test/server.ts";
import type { CoordinationServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<CoordinationServer> {
  const consul = await startConsul();
  return {
    url: consul.url.replace("http:", "consul:"),
    port: consul.port,
    kill: () => consul.stop(),
    start: () => consul.start(),
    [Symbol.asyncDispose]: () => consul.close(),
  };
}
