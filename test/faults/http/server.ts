import { setTimeout as sleep } from "node:timers/promises";
import { createService } from "@micro-es/runtime";
import { echoHandler } from "../../support/echo.ts";
import { registerEcho } from "../../support/server.ts";
import { Ledger } from "../ledger.ts";

/**
 * The server that is restarted, killed and cut off: `server.ts '{"address", "ledger"?}'`. It
 * records the text of every `Once` that begins. Everything else comes from the environment.
 */
const { address, ledger: path } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly address: string;
  readonly ledger?: string;
};
const ledger = path === undefined ? undefined : new Ledger(path);
const service = createService({ name: "echo", address });
const handler = echoHandler(address);
registerEcho(service.server, {
  ...handler,
  async once(request) {
    ledger?.write({ id: request.text });
    // The work continues whether or not the caller still waits for it.
    await sleep(request.delayMs);
    return { text: request.text, server: address };
  },
});
service.onReady(() => console.log(`listening ${service.server.addresses[0]}`));
await service.run();
