import type { ConsumeMessage } from "amqplib";
import { unavailable } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";

/** Messages that the server sends ahead; a stream requires a limit. */
const prefetch = 256;

/** Where reading begins: at a position, or after everything that the stream has. */
export type StreamOffset = number | "first" | "next";

/** How a stream is read. */
export interface StreamReading {
  readonly stream: string;
  readonly from: StreamOffset;
  /** The attempted operation, for messages. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  /** Called once reading has begun. */
  begun?(): Promise<void>;
  /** Takes a message; reading ends when it returns true. */
  take(offset: number, message: ConsumeMessage): boolean;
}

/**
 * Reads a stream, which stays as it is, until `take` ends that.
 * @throws MicroError `unavailable` when no message comes within the timeout; what `take` throws; or
 * the library's error.
 */
export async function readStream(link: RabbitMqLink, reading: StreamReading): Promise<void> {
  const { what, signal } = reading;
  const model = await link.consuming.open(signal);
  const channel = await link.channel(model.createChannel(), what, signal);
  let timer: NodeJS.Timeout | undefined;
  try {
    await link.response(channel.prefetch(prefetch), what);
    await new Promise<void>((resolve, reject) => {
      let isOver = false;
      const end = (finish: () => void) => {
        isOver = true;
        finish();
      };
      const watch = () => {
        clearTimeout(timer);
        const message = `cannot ${what}: RabbitMQ sent nothing for ${link.timeoutMs} ms`;
        timer = setTimeout(() => end(() => reject(unavailable(message))), link.timeoutMs);
      };
      const take = (message: ConsumeMessage | null) => {
        if (isOver) return;
        if (message === null) return end(() => reject(unavailable(`cannot ${what}: it is gone`)));
        watch();
        try {
          channel.ack(message);
          const offset = Number(message.properties.headers?.["x-stream-offset"]);
          if (reading.take(offset, message)) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
      };
      channel.on("error", reject);
      channel.on("close", () => reject(unavailable(`cannot ${what}: the connection was lost`)));
      watch();
      channel
        .consume(reading.stream, take, { arguments: { "x-stream-offset": reading.from } })
        .then(() => reading.begun?.())
        .catch(reject);
    });
  } finally {
    clearTimeout(timer);
    await Promise.resolve()
      .then(() => link.response(channel.close(), what))
      // It has ended.
      .catch(() => {});
  }
}
