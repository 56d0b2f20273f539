import { connect, createInbox } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Attack } from "../attack.ts";
import { flags, frame, hello, preface, types } from "../wire/native.ts";
import { missingNats } from "../wire/nats-setup.ts";

const requests = 2_000;
/** The types of the messages that carry a stream over NATS; the number of each follows. */
const [data, again] = [0, 3];

function message(type: number, bytes: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.of(type, 0, 0, 0, 0), bytes]);
}

export const attack: Attack = {
  protocol: "NATS",
  description: `${requests} requests of five bytes to send a response of a megabyte again`,
  bounds: { cpuMsPerMB: 3_000, heldPerByte: 60 },
  setup: new URL("../wire/nats-transport-setup.ts", import.meta.url),
  missing: missingNats,
  async run(target) {
    await using server = await startNats();
    const address = (await target.perform(server.url)) as string;
    const connection = await connect({ servers: server.url });
    const inbox = createInbox();
    let peer = "";
    let received = 0;
    connection.subscribe(inbox, {
      callback(_error, { headers, data: bytes }) {
        peer ||= headers?.get("Micro-Accept") ?? "";
        received += bytes.length;
      },
    });
    const publish = (to: string, bytes: Buffer) => {
      connection.publish(to, bytes, { reply: inbox });
      // With its subjects, which have sixty bytes.
      target.count(bytes.length + 60);
    };
    publish(address.slice("nats:".length), Buffer.alloc(0));
    while (peer === "") await connection.flush();
    const type = Buffer.from("application/protobuf");
    const payload = Buffer.concat([
      Buffer.of(type.length),
      type,
      Buffer.from("micro.test.v1.EchoService/Once"),
    ]);
    const call = frame(types.open, { flags: flags.message | flags.end, method: 1, call: 1 });
    const opening = [preface, hello(), frame(types.method, { method: 1, payload }), call];
    publish(peer, message(data, Buffer.concat(opening)));
    while (received < 1e6) await connection.flush();
    for (let sent = 0; sent < requests; sent += 50) {
      for (let count = 0; count < 50; count++) publish(peer, message(again));
      await connection.flush();
    }
    await target.usage();
    await connection.close();
  },
};
