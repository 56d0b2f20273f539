import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { EchoService } from "../../../gen/micro/test/v1/echo_pb.ts";
import { underLoad } from "../load.ts";

/**
 * connect-node, which has one server per transport and no retries: its user takes the servers in
 * turn, and tries the next one if a call without side effects found its server unavailable.
 */
const [perSecond, addresses = ""] = process.argv.slice(2);
const clients = addresses
  .split(",")
  .map((it) => createClient(EchoService, createGrpcTransport({ baseUrl: `http://${it}` })));
let turn = 0;
await underLoad(Number(perSecond), async () => {
  const first = turn++;
  for (let attempt = 1; ; attempt++) {
    try {
      const client = clients[(first + attempt) % clients.length]!;
      return await client.echo({ text: "load", delayMs: 50 }, { timeoutMs: 60_000 });
    } catch (error) {
      const { code, message } = ConnectError.from(error);
      // A request after the GOAWAY is refused unprocessed, which connect-node reports as an
      // internal error.
      const away = code === Code.Unavailable || message.includes("REFUSED_STREAM");
      if (!away || attempt === clients.length) throw error;
    }
  }
});
