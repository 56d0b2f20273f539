import { ByteWriter } from "./byte-writer.ts";
import { type Target, writeUpdateMark } from "./datagram.ts";
import type { GossipEnvironment } from "./environment.ts";
import { maxDatagramBytes } from "./limits.ts";
import type { Member } from "./member-entry.ts";
import { maxUpdateBytes, writeUpdate } from "./member-update.ts";
import type { Membership } from "./membership.ts";
import { type GossipTiming, retransmissions } from "./timing.ts";

/** What sealing adds to a payload, in bytes. */
export const sealBytes = 35;
/** Maximum size of the payload of a datagram, in bytes. */
export const maxPayloadBytes: number = maxDatagramBytes - sealBytes;

/** Writes datagrams and fills them up with news about members. */
export class Outbox {
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #membership: Membership;

  constructor(env: GossipEnvironment, timing: GossipTiming, membership: Membership) {
    this.#env = env;
    this.#timing = timing;
    this.#membership = membership;
  }

  /** @param first a member whose update comes before the news. */
  send(to: Target, begin: (writer: ByteWriter) => void, first?: Member): void {
    const writer = new ByteWriter(maxPayloadBytes);
    begin(writer);
    if (first !== undefined) this.#write(writer, first);
    const { queue, size } = this.#membership;
    queue.take(retransmissions(this.#timing, size), (id) => {
      if (writer.length + 1 + maxUpdateBytes > maxPayloadBytes) return false;
      const member = this.#membership.get(id);
      if (member !== undefined && member !== first) this.#write(writer, member);
      return true;
    });
    if (writer.length > 0) this.#env.send(to, writer.done());
  }

  #write(writer: ByteWriter, member: Member): void {
    writeUpdateMark(writer);
    writeUpdate(writer, this.#membership.updateOf(member));
  }
}
