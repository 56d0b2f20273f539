import type { Attack } from "../attack.ts";
import { announcement, LinkPeer, mdnsEnvironment } from "../wire/mdns.ts";

const packets = 200;
const shapes = [
  { what: "endpoints", open: '[{"name":"a"}', more: ',{"name":"a","metadata":{}}', bytes: 28 },
  { what: "brackets", open: "[0", more: ",[]", bytes: 3 },
] as const;

function* bombs(): Generator<Buffer> {
  // The largest that was taken once, and what is taken now at most.
  for (const size of [500_000, 40_000]) {
    for (const { what, open, more, bytes } of shapes) {
      for (let at = 0; at < packets; at++) {
        const list = `${open}${more.repeat(size / bytes)}]`;
        const text = `{"Service":"target","Version":"${at}","Metadata":{},"Endpoints":${list}}`;
        yield announcement({ id: `${what}-${at}`, port: 1, text });
      }
    }
  }
}

export const attack: Attack = {
  protocol: "mDNS",
  description: "records that grow a hundredfold when they are unpacked",
  bounds: { cpuMsPerMB: 1_000, heldPerByte: 4 },
  environment: mdnsEnvironment,
  async run(target) {
    await using peer = await LinkPeer.join(target);
    await peer.send(bombs());
  },
};
