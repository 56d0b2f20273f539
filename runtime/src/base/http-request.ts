import type { IncomingMessage, RequestOptions } from "node:http";
import { MicroError } from "./error.ts";
import { isLocalAddress } from "./local-address.ts";

/** A request to a server whose response is small. */
export interface SmallRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Certificates of the authorities to trust instead of the well-known ones, in PEM. */
  readonly ca?: string | undefined;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** A response. A redirect is one too: it is not followed. */
export interface SmallResponse {
  readonly status: number;
  readonly text: string;
}

/**
 * Checks a URL that secrets are sent to, or that keys come from: `https:`, or `http:` on this
 * machine.
 *
 * @param option names the URL, for messages
 * @throws MicroError `invalid_argument` for any other.
 */
export function secureUrl(text: string, option: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // The error below says it.
  }
  const isSecure =
    url?.protocol === "https:" ||
    (url?.protocol === "http:" && isLocalAddress(`${url.hostname}:${url.port || 80}`));
  if (url !== undefined && isSecure && url.username === "" && url.password === "") return url;
  throw new MicroError(
    "invalid_argument",
    `${option} must be a URL with https: and without credentials, for example "https://id.acme.example"; http: is accepted on this machine only`,
    { outcome: "not-executed" },
  );
}

/**
 * Makes an HTTP request.
 * @throws MicroError `unavailable` if the server does not respond in time, or responds with more
 * than `maxBytes`.
 */
export async function requestSmall(url: URL, request: SmallRequest): Promise<SmallResponse> {
  const { request: open } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const { method, headers, body, ca, timeoutMs, maxBytes } = request;
  const signal = AbortSignal.timeout(timeoutMs);
  const options: RequestOptions = { method, headers, signal, agent: false };
  return new Promise((resolve, reject) => {
    const fail = (reason: unknown) => reject(unavailable(url, signal.aborted, timeoutMs, reason));
    const sent = open(url, { ...options, ...(ca !== undefined && { ca }) }, (response) => {
      readText(response, maxBytes).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        fail,
      );
    });
    sent.on("error", fail);
    sent.end(body);
  });
}

async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the response has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function unavailable(url: URL, late: boolean, timeoutMs: number, cause: unknown): MicroError {
  const what = late
    ? `no response within ${timeoutMs} ms`
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new MicroError("unavailable", `${url.origin}${url.pathname}: ${what}`, {
    outcome: "not-executed",
    cause,
  });
}
