import { describe, expect, test } from "vitest";
import { type FrameHandler, FrameReader } from "../../runtime/src/transport/native/frame-reader.ts";
import { frameType } from "../../runtime/src/transport/native/protocol.ts";
import { ServerConnection } from "../../runtime/src/transport/native/server-connection.ts";
import { long } from "../support/long.ts";
import { FuzzFinding, type FuzzTargets, fuzzFrames } from "./frames.ts";

describe("fuzzed frames", () => {
  test("cause no crash, no hang and no excess memory", async () => {
    await fuzzFrames({ count: long ? 15_000 : 5_000, seed: 20_261_123 });
  });

  test("are the same for the same seed", async () => {
    const broken = { Server: Forgetful };
    const first = await finding(broken);
    const alone = await finding({ ...broken, from: first.index, count: 1 });
    expect(alone.index).toBe(first.index);
    expect(alone.input).toEqual(first.input);
  });

  /** Only after thousands of inputs. */
  const late = "a server that trips over large credit";
  /** Broken on purpose: the fuzzer must find each out. */
  const planted: Record<string, FuzzTargets> = {
    "a reader that believes every length": {
      createReader: (handler) => new Gullible(handler),
    },
    "a reader that loses a byte of a header that comes in two pieces": {
      createReader: (handler, limit) => new Careless(handler, limit),
    },
    "a reader that names the wrong place for what is to come": {
      createReader: (handler, limit) => new Misplacing(handler, limit),
    },
    [late]: { Server: Clumsy },
    "a server that forgets to take calls off its list": { Server: Forgetful },
    "a server that cancels nothing": { Server: Deaf },
  };
  for (const [name, targets] of Object.entries(planted)) {
    test.runIf(long || name !== late)(`find ${name}`, async () => {
      expect((await finding(targets)).input.length).toBeGreaterThan(0);
    });
  }
});

async function finding(
  targets: FuzzTargets & { from?: number; count?: number },
): Promise<FuzzFinding> {
  const found = await fuzzFrames({ count: 20_000, seed: 5, ...targets }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(found).toBeInstanceOf(FuzzFinding);
  return found as FuzzFinding;
}

/** Makes room for whatever a header declares. */
class Gullible {
  readonly #handler: FrameHandler;
  #bytes: Buffer = Buffer.alloc(0);
  #declared = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  get bufferedBytes(): number {
    return this.#declared;
  }

  get atBoundary(): boolean {
    return this.#bytes.length === 0;
  }

  get room(): undefined {
    return undefined;
  }

  push(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 16) {
      const bytes = this.#bytes;
      this.#declared = bytes.readUInt32BE(0);
      const end = 16 + this.#declared;
      if (bytes.length < end) return;
      const [type, flags] = [bytes[4]!, bytes[5]!];
      const method = bytes.readUInt16BE(6);
      const [call, aux] = [bytes.readUInt32BE(8), bytes.readUInt32BE(12)];
      this.#handler.frame(type, flags, method, call, aux, bytes, 16, end);
      this.#bytes = bytes.subarray(end);
    }
  }
}

/** As the real one, but for one byte now and then. */
class Careless {
  readonly #reader: FrameReader;

  constructor(handler: FrameHandler, maxMessageBytes: number) {
    this.#reader = new FrameReader(handler, maxMessageBytes);
  }

  get bufferedBytes(): number {
    return this.#reader.bufferedBytes;
  }

  get atBoundary(): boolean {
    return this.#reader.atBoundary;
  }

  get room(): Uint8Array | undefined {
    return this.#reader.room;
  }

  push(chunk: Uint8Array): void {
    const inHeader = !this.#reader.atBoundary && this.#reader.bufferedBytes === 13;
    this.#reader.push(inHeader ? chunk.subarray(1) : chunk);
  }
}

class Misplacing extends FrameReader {
  override get room(): Uint8Array | undefined {
    return super.room?.subarray(1);
  }
}

class Clumsy extends ServerConnection {
  protected override handleFrame(
    type: number,
    flags: number,
    method: number,
    call: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (type === frameType.credit && aux > 70_000) throw new TypeError("tripped");
    super.handleFrame(type, flags, method, call, aux, bytes, start, end);
  }
}

class Forgetful extends ServerConnection {
  override remove(): void {}
}

class Deaf extends ServerConnection {
  protected override connectionEnded(): void {}
}
