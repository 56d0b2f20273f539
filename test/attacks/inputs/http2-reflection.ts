import { setTimeout as sleep } from "node:timers/promises";
import { frame, grpcHeader, types, uint32 } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame } from "../wire/http2.ts";
import { bytesField } from "../wire/protobuf.ts";

const questions = 5_000;
/** A symbol of the target, whose file imports others. */
const question = bytesField(4, Buffer.from("micro.attack.v1.TargetService"));

export const attack: Attack = {
  protocol: "HTTP/2",
  description: `${questions} questions for the schema in one stream of reflection`,
  // Each response has 15 KB, and is read.
  bounds: { cpuMsPerMB: 8_000, heldPerByte: 60 },
  setup: new URL("../wire/reflection-setup.ts", import.meta.url),
  async run(target) {
    const connection = await connectHttp2(target);
    let received = 0;
    connection.socket.on("data", (bytes) => {
      received += bytes.length;
    });
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    await connection.write(headersFrame(1, grpcHeader(path)));
    const message = Buffer.concat([Buffer.of(0), uint32(question.length), question]);
    const many = frame(types.data, 0, 1, Buffer.concat(Array.from({ length: 100 }, () => message)));
    for (let sent = 0; sent < questions; sent += 100) {
      const before = received;
      if (!(await connection.write(many))) throw new Error("the connection was closed");
      while (connection.isOpen && received < before + 1e6) await sleep(5);
    }
  },
};
