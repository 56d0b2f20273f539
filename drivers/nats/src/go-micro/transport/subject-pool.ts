import { MicroError } from "@micro-es/runtime";
import type { ConnectionOwner, ConnectionPool, GoMicroConnection } from "@micro-es/runtime/driver";
import { createInbox } from "nats";
import type { NatsLink } from "../../link/link.ts";
import { SubjectConnection } from "./subject-connection.ts";

/** Inboxes for the responses of one server on NATS. */
export class SubjectPool implements ConnectionPool {
  readonly address: string;
  readonly #subject: string;
  readonly #link: NatsLink;
  readonly #maxBodyBytes: number;

  constructor(address: string, subject: string, link: NatsLink, maxBodyBytes: number) {
    this.address = address;
    this.#subject = subject;
    this.#link = link;
    this.#maxBodyBytes = maxBodyBytes;
  }

  async open(owner: ConnectionOwner): Promise<GoMicroConnection> {
    const connection = await this.#link.live(`call ${this.address}`);
    const inbox = createInbox();
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) link.destroy();
        else if (message.headers?.code === 503) {
          const { address } = this;
          const nobody = `nothing listens at ${address}`;
          owner.absent?.(new MicroError("unavailable", nobody, { outcome: "not-executed" }));
          link.destroy();
        } else link.take(message.data);
      },
    });
    const link: SubjectConnection = new SubjectConnection(
      connection,
      this.#subject,
      this.#maxBodyBytes,
      owner,
      () => subscription.unsubscribe(),
      inbox,
    );
    return link;
  }
}
