import type { Attack } from "../attack.ts";
import { LinkPeer, mdnsEnvironment, query } from "../wire/mdns.ts";

/** What one machine is answered at once and in some seconds. */
const mostAnswerBytes = 2_000_000;

export const attack: Attack = {
  protocol: "mDNS",
  description: "packets with 500 or 60 equal questions",
  bounds: { cpuMsPerMB: 1_500, heldPerByte: 4 },
  environment: mdnsEnvironment,
  async run(target) {
    await using peer = await LinkPeer.join(target);
    const questions = (count: number) =>
      query(Array.from({ length: count }, () => ({ type: "PTR", name: "target.micro" }) as const));
    const many = questions(500);
    await peer.send([many]);
    if (peer.receivedBytes > many.length)
      throw new Error(`${many.length} bytes of questions were answered by ${peer.receivedBytes}`);
    await peer.send(Array.from({ length: 2_000 }, () => questions(60)));
    if (peer.receivedBytes > mostAnswerBytes)
      throw new Error(`one machine was sent ${peer.receivedBytes} bytes of replies`);
  },
};
