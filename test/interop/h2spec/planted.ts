import { errorCode } from "../../../runtime/src/transport/http2/error-code.ts";
import { frameType } from "../../../runtime/src/transport/http2/protocol.ts";
import { ServerConnection } from "../../../runtime/src/transport/http2/server-connection.ts";
import type { Http2Stream } from "../../../runtime/src/transport/http2/stream.ts";
import type { Connections } from "./server.ts";

/** A server with a mistake, and the section of RFC 7540 whose cases find it. */
interface Planted {
  readonly mistake: string;
  readonly section: string;
  readonly Connection: Connections;
}

/** Ignores windows that are opened by nothing. */
class EmptyUpdates extends ServerConnection {
  protected override streamFrame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const isEmpty = bytes.subarray(start, end).every((byte) => byte === 0);
    if (type === frameType.windowUpdate && isEmpty) return;
    super.streamFrame(type, flags, id, bytes, start, end);
  }
}

/** Takes frames after the end of a request. */
class EndlessBodies extends ServerConnection {
  override streamError(stream: Http2Stream, code: number): void {
    if (code !== errorCode.streamClosed) super.streamError(stream, code);
  }

  protected override checkClosed(): void {
    // Nothing is checked.
  }
}

/** Does not know which streams are idle. */
class NoIdleStreams extends EndlessBodies {
  protected override wasOpened(): boolean {
    return true;
  }
}

export const planted: readonly Planted[] = [
  { mistake: "WINDOW_UPDATE of 0 bytes is accepted", section: "6.9", Connection: EmptyUpdates },
  { mistake: "frames after the end are accepted", section: "5.1", Connection: EndlessBodies },
  { mistake: "frames on idle streams are accepted", section: "6.4", Connection: NoIdleStreams },
];
