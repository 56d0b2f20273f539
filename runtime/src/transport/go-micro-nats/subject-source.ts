import { createInbox } from "nats";
import { MicroError } from "../../error.ts";
import type { NatsLink } from "../../nats/link.ts";
import type { GoMicroLink, LinkOwner } from "../go-micro/link.ts";
import type { LinkSource } from "../go-micro/link-source.ts";
import { SubjectLink } from "./subject-link.ts";

/** Inboxes for the answers of one server on NATS. */
export class SubjectSource implements LinkSource {
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

  async open(owner: LinkOwner): Promise<GoMicroLink> {
    const connection = await this.#link.live(`call ${this.address}`);
    const inbox = createInbox();
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) link.destroy();
        else if (message.headers?.code === 503) {
          const { address } = this;
          const nobody = `nobody listens at ${address}`;
          owner.absent?.(new MicroError("unavailable", nobody, { outcome: "not-executed" }));
          link.destroy();
        } else link.take(message.data);
      },
    });
    const link: SubjectLink = new SubjectLink(
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
