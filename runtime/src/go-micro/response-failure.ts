import { type Code, MicroError, type Outcome } from "../base/error.ts";
import type { ReadMessage } from "./message-reader.ts";

/**
 * The codes of HTTP statuses, which come from proxies and other servers: go-micro responds with
 * 200, even for errors. The mapping is gRPC's; for other statuses, it is the code closest to HTTP's
 * own description.
 */
const codes: Readonly<Record<number, Code>> = {
  400: "internal",
  401: "unauthenticated",
  403: "permission_denied",
  404: "unimplemented",
  405: "unimplemented",
  408: "unavailable",
  413: "resource_exhausted",
  415: "unimplemented",
  429: "unavailable",
  431: "resource_exhausted",
  500: "internal",
  501: "unimplemented",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** Statuses with which HTTP states that the request was not applied. All others leave it open. */
const notApplied: ReadonlySet<number> = new Set([401, 405, 411, 413, 414, 415, 417, 421, 426, 431]);

/**
 * The longest status line or location, and the longest explanation, that an error message repeats,
 * in characters.
 */
const maxQuotedLength = 100;
const maxExplanationLength = 200;

/** Returns why a message is not a go-micro response; undefined if it is one. */
export function responseFailure(message: ReadMessage): MicroError | undefined {
  const { startLine, header, body } = message;
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(startLine)?.[1];
  if (status === "200") return undefined;
  if (status === undefined) {
    return new MicroError(
      "unavailable",
      "the other side sent a request in place of a response; check that a go-micro server listens there",
    );
  }
  const location = header.get("location");
  const target = location === undefined ? "" : ` to ${quoted(location)}`;
  const isText = header.get("content-type")?.startsWith("text/plain") === true && body.length > 0;
  const explanation = isText
    ? ` (${quoted(
        Buffer.from(body.subarray(0, 4 * maxExplanationLength))
          .toString()
          .trim(),
        maxExplanationLength,
      )})`
    : "";
  const code = codes[Number(status)] ?? "unknown";
  const outcome: Outcome = notApplied.has(Number(status)) ? "not-executed" : "unknown";
  const retryAfter = header.get("retry-after");
  return new MicroError(
    code,
    `the response has HTTP status ${quoted(startLine.slice(9))}${target}${explanation}, and go-micro servers respond with 200; check the address and what lies between`,
    {
      outcome,
      ...(retryAfter !== undefined &&
        /^\d{1,6}$/.test(retryAfter) && { retryAfterMs: Number(retryAfter) * 1_000 }),
    },
  );
}

/**
 * Returns the error of a call whose response cannot be used.
 * @param reason from {@link responseFailure}, or why the message reader failed.
 */
export function unusableResponse(method: string, reason: MicroError, outcome: Outcome): MicroError {
  const { code, retryAfterMs } = reason;
  return new MicroError(code, `${method} failed: ${reason.message}`, {
    outcome,
    cause: reason,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Returns text from the peer as an error message repeats it: bounded, and printable. */
function quoted(text: string, maxLength: number = maxQuotedLength): string {
  return JSON.stringify(text.slice(0, maxLength).replace(/[^\x20-\x7e]/g, "?"));
}
