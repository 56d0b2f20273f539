import type { NatsConnection } from "nats";
import { asMicroError, MicroError } from "../../error.ts";
import type { GoMicroLink, LinkOwner } from "../go-micro/link.ts";
import type { OutgoingHeader } from "../go-micro/message.ts";
import { decodeSubjectMessage, encodeSubjectMessage } from "./subject-message.ts";

/** Messages to one subject of NATS, and those that come for whoever sends them. There is no word for its end. */
export class SubjectLink implements GoMicroLink {
  readonly peer: string;
  /** NATS takes what it is given; what it cannot send is kept by its client. */
  readonly blocked = false;
  readonly #connection: NatsConnection;
  readonly #subject: string;
  readonly #maxBodyBytes: number;
  readonly #owner: LinkOwner;
  readonly #closed: () => void;
  readonly #reply: { reply: string } | undefined;
  #over = false;

  /**
   * @param reply where answers are to come; undefined on the side that answers.
   * @param closed called once, when it is over.
   */
  constructor(
    connection: NatsConnection,
    subject: string,
    maxBodyBytes: number,
    owner: LinkOwner,
    closed: () => void,
    reply?: string,
  ) {
    this.peer = `nats:${subject}`;
    this.#connection = connection;
    this.#subject = subject;
    this.#maxBodyBytes = maxBodyBytes;
    this.#owner = owner;
    this.#closed = closed;
    this.#reply = reply === undefined ? undefined : { reply };
  }

  /** @throws MicroError `resource_exhausted` for what is larger than the servers take. */
  send(header: OutgoingHeader, body: Uint8Array): void {
    if (this.#over || this.#connection.isClosed()) return;
    const data = encodeSubjectMessage(header, body);
    const limit = this.#connection.info?.max_payload ?? data.length;
    if (data.length > limit) {
      throw new MicroError(
        "resource_exhausted",
        `a message has ${data.length} bytes on NATS, whose servers take ${limit} (max_payload)`,
      );
    }
    this.#connection.publish(this.#subject, data, this.#reply);
  }

  /** Takes a message that came. */
  take(data: Uint8Array): void {
    if (this.#over) return;
    try {
      this.#owner.received(decodeSubjectMessage(data, this.#maxBodyBytes));
    } catch (reason) {
      this.#owner.broken(asMicroError(reason));
    }
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closed();
    this.#owner.closed();
  }
}
