import { MicroError } from "../base/error.ts";

/** The most bytes that events may hold together while they are published. */
const mostBytes = 64 * 1024 * 1024;

/** What an event usually holds in addition to its body, in bytes. */
export const eventOverheadBytes = 512;

/** Counts the bytes that events of a broker hold until the backend has them. */
export class BytesUnderWay {
  readonly #until: string;
  #bytes = 0;

  /** @param until what the events wait for, such as `until Redis has stored them`. */
  constructor(until: string) {
    this.#until = until;
  }

  /** Whether an event of this size may be published now. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytes + bytes <= mostBytes;
  }

  /**
   * The error for an event without room, `resource_exhausted`.
   *
   * @param what the attempted operation, such as `publish on orders`.
   */
  refusal(what: string): MicroError {
    return new MicroError(
      "resource_exhausted",
      `${what}: ${this.#bytes} bytes of events wait ${this.#until}, at most ${mostBytes} may; await publications before publishing more`,
      { outcome: "not-executed" },
    );
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
  }
}
