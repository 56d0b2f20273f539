import { describe, expect, test } from "vitest";
import { HpackDecoder } from "../../runtime/src/transport/http2/hpack/decoder.ts";
import { HeaderList } from "../../runtime/src/transport/http2/hpack/header-list.ts";
import { ServerConnection } from "../../runtime/src/transport/http2/server-connection.ts";
import type { Http2Stream } from "../../runtime/src/transport/http2/stream.ts";
import { FuzzFinding } from "./frames.ts";
import { fuzzHttp2, type Http2FuzzOptions } from "./http2-frames.ts";

describe("fuzzed HTTP/2", () => {
  test("causes no crash, no hang and no excess memory", async () => {
    await fuzzHttp2({ count: 15_000, seed: 20_261_130 });
  });

  /** Broken on purpose: the fuzzer must find each out. */
  const planted: Record<string, Partial<Http2FuzzOptions>> = {
    "a server that accepts any number of streams": { Server: Crowded },
    "a server that trips over a reset": { Server: Clumsy },
    "a server that leaves streams open when its connection ends": { Server: Forgetful },
    "a server that reports the end of a request twice": { Server: Stammering },
    "a decoder that loses fields": { Decoder: Lossy },
    "a decoder without limits": { Decoder: Boundless },
  };
  for (const [name, targets] of Object.entries(planted)) {
    test(`finds ${name}`, async () => {
      const found = await fuzzHttp2({ count: 20_000, seed: 5, ...targets }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(found).toBeInstanceOf(FuzzFinding);
    });
  }
});

class Crowded extends ServerConnection {
  override get openStreams(): number {
    return super.openStreams + this.#hidden;
  }

  #hidden = 0;

  protected override streamClosed(stream: Http2Stream): void {
    super.streamClosed(stream);
    this.#hidden++;
  }
}

class Clumsy extends ServerConnection {
  override streamError(): void {
    throw new TypeError("tripped");
  }
}

class Forgetful extends ServerConnection {
  protected override abortAll(): void {}
}

class Stammering extends ServerConnection {
  override remoteEnded(stream: Http2Stream, trailers: HeaderList | undefined): void {
    super.remoteEnded(stream, trailers);
    super.remoteEnded(stream, trailers);
  }
}

/** Loses a field of lists that repeat. */
class Lossy extends HpackDecoder {
  #rounds = 0;

  override decode(bytes: Uint8Array, start: number, end: number): HeaderList {
    const list = super.decode(bytes, start, end);
    return ++this.#rounds === 2 ? new HeaderList(list.fields.slice(1)) : list;
  }
}

class Boundless extends HpackDecoder {
  constructor() {
    super({ maxTableBytes: 4_096, maxListBytes: 1e9, maxFields: 1e9 });
  }
}
