import { Buffer } from "node:buffer";
import type { Msg, NatsConnection } from "nats";

/** Properties of the library's connection that its type lacks. */
interface Protocol {
  outBytes: number;
  outMsgs: number;
  /** Writes bytes by the end of the turn. */
  sendCommand?(bytes: Uint8Array): void;
}

/** Responses are passed on when they have this many characters. */
const longest = 16 * 1024;

/**
 * The responses to the messages of a connection, such as acknowledgements. The library would encode
 * and buffer each by itself, which takes longer than all else that is done to acknowledge an event;
 * those of one turn are one text here.
 */
export class Responses {
  readonly #connection: NatsConnection & { readonly protocol?: Protocol };
  #text = "";
  #count = 0;
  #bytes = 0;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  /**
   * Responds by the end of the turn.
   *
   * @param reply where the message wants its response
   * @param response characters of ASCII
   */
  send(message: Msg, reply: string, response: string): void {
    if (this.#connection.protocol?.sendCommand === undefined || this.#connection.isClosed()) {
      message.respond(response);
      return;
    }
    if (this.#text === "") queueMicrotask(() => this.flush());
    this.#text += `PUB ${reply} ${response.length}\r\n${response}\r\n`;
    this.#count++;
    this.#bytes += response.length;
    if (this.#text.length >= longest) this.flush();
  }

  /** Passes all responses on to the library, before anything else is published. */
  flush(): void {
    const { protocol } = this.#connection;
    if (this.#text === "" || protocol === undefined) return;
    const text = this.#text;
    this.#text = "";
    protocol.outMsgs += this.#count;
    protocol.outBytes += this.#bytes;
    this.#count = 0;
    this.#bytes = 0;
    protocol.sendCommand?.(Buffer.from(text));
  }
}
