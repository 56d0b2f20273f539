import { monotonicNow } from "../../deadline.ts";
import type { MicroError, Outcome } from "../../error.ts";
import type { GoMicroLink, LinkOwner } from "./link.ts";
import type { GoMicroMessage, OutgoingHeader } from "./message.ts";

/** The call that has a link. */
export interface LinkUser {
  received(message: GoMicroMessage): void;
  drained(): void;
  /** Nothing more comes; with the reason where the other side broke the protocol. */
  lost(reason: MicroError | undefined, outcome?: Outcome): void;
}

/** Who keeps the links of a channel. */
export interface ClientLinks {
  linkClosed(link: ClientLink): void;
}

/** A link of a client, which one call has at a time. */
export class ClientLink implements LinkOwner {
  /** The first header that was sent: servers of go-micro say it back in every answer on the connection. */
  firstHeader: ReadonlyMap<string, string> | undefined;
  /** When the last call gave it back. */
  freeSince = 0;
  closedHere = false;
  isClosed = false;
  readonly #links: ClientLinks;
  #link: GoMicroLink | undefined;
  #user: LinkUser | undefined;

  constructor(links: ClientLinks) {
    this.#links = links;
  }

  get blocked(): boolean {
    return this.#link?.blocked ?? false;
  }

  attach(link: GoMicroLink): void {
    this.#link = link;
  }

  use(user: LinkUser): void {
    this.#user = user;
  }

  /** The call has its answer. */
  free(): void {
    this.#user = undefined;
    this.freeSince = monotonicNow();
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    if (this.firstHeader === undefined) {
      const lines = [...header].map(([name, value]) => [name.toLowerCase(), value] as const);
      this.firstHeader = new Map(lines);
    }
    this.#link?.send(header, body);
  }

  pause(): void {
    this.#link?.pause();
  }

  resume(): void {
    this.#link?.resume();
  }

  /** The call wants nothing more of it. */
  end(): void {
    this.#user = undefined;
    this.closedHere = true;
    this.#link?.end();
  }

  destroy(): void {
    this.#user = undefined;
    this.closedHere = true;
    this.#link?.destroy();
  }

  received(message: GoMicroMessage): void {
    // An answer that nobody waits for could be taken for that of the next call.
    if (this.#user === undefined) this.destroy();
    else this.#user.received(message);
  }

  drained(): void {
    this.#user?.drained();
  }

  broken(error: MicroError): void {
    const user = this.#user;
    this.destroy();
    user?.lost(error);
  }

  absent(error: MicroError): void {
    const user = this.#user;
    this.#user = undefined;
    user?.lost(error, "not-executed");
  }

  closed(): void {
    this.isClosed = true;
    const user = this.#user;
    this.#user = undefined;
    this.#links.linkClosed(this);
    user?.lost(undefined);
  }
}
