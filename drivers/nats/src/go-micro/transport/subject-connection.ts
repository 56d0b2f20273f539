import { asMicroError, MicroError } from "@micro-es/runtime";
import type { ConnectionOwner, GoMicroConnection, OutgoingHeader } from "@micro-es/runtime/driver";
import type { NatsConnection } from "nats";
import { decodeSubjectMessage, encodeSubjectMessage } from "./subject-message.ts";

/**
 * Sends messages to one NATS subject, and takes the messages for its sender. The protocol has no
 * message for its end.
 */
export class SubjectConnection implements GoMicroConnection {
  readonly peer: string;
  /** NATS accepts everything; its client buffers what it cannot send. */
  readonly blocked = false;
  readonly #connection: NatsConnection;
  readonly #subject: string;
  readonly #maxBodyBytes: number;
  readonly #owner: ConnectionOwner;
  readonly #closed: () => void;
  readonly #reply: { reply: string } | undefined;
  #over = false;

  /**
   * @param reply the subject for responses; undefined on the responding side.
   * @param closed called once, when the connection is closed.
   */
  constructor(
    connection: NatsConnection,
    subject: string,
    maxBodyBytes: number,
    owner: ConnectionOwner,
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

  /** @throws MicroError `resource_exhausted` for a message larger than the servers accept. */
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

  /** Takes a received message. */
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
