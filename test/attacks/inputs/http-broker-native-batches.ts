import type { Attack } from "../attack.ts";
import type { BrokerDetails } from "../wire/broker-setup.ts";
import { flags, frame, hello, preface, types } from "../wire/native.ts";

const batches = 200;
const eventsOfBatch = 1_024;

const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);

export const attack: Attack = {
  protocol: "HTTP broker",
  description: "200 native batches of 1,024 events of 7 bytes",
  bounds: { cpuMsPerMB: 1_500, heldPerByte: 8 },
  environment: { MICRO_BROKER: "http", MICRO_BROKER_ADDRESS: "127.0.0.1:0" },
  setup: new URL("../wire/broker-setup.ts", import.meta.url),
  async run(target) {
    const { port, id } = target.details as BrokerDetails;
    const connection = await target.connect(port);
    connection.keepResponses();
    await connection.write(
      `GET /?id=${id} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: micro-events/1\r\n\r\n`,
    );
    const method = Buffer.concat([
      text("application/micro-events"),
      Buffer.from("micro.events.v1.Events/Deliver"),
    ]);
    await connection.write(
      Buffer.concat([preface, hello(), frame(types.method, { method: 1, payload: method })]),
    );
    const first = Buffer.concat([Buffer.of(1), text("e"), text("a/b"), Buffer.alloc(6)]);
    const other = Buffer.concat([Buffer.of(0), text("e"), Buffer.alloc(4)]);
    const events = Array.from({ length: eventsOfBatch - 1 }, () => other);
    const payload = Buffer.concat([text(id), text("news"), first, ...events]);
    for (let call = 1; call <= batches; call++) {
      const fields = { flags: flags.message | flags.end, method: 1, call, payload };
      await connection.write(frame(types.open, fields));
    }
    const isAnswered = () => {
      const { received } = connection;
      const at = received.lastIndexOf(Buffer.of(types.result, flags.message));
      return at >= 0 && received.readUInt32BE(at + 4) === batches;
    };
    const latest = performance.now() + 30_000;
    while (!isAnswered()) {
      if (performance.now() > latest) throw new Error("the batches have no response");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
};
