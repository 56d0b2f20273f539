import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { MicroError } from "../../base/error.ts";

/** The most that is read of a document, in bytes. */
export const maxDocumentBytes: number = 256 * 1_024;

/** How a document is requested. */
export interface GetOptions {
  readonly signal: AbortSignal;
  /** Certificates of the authorities that are trusted in place of Node's. */
  readonly ca?: string | Buffer | undefined;
}

/**
 * Checks the address of a document with keys.
 * @throws MicroError `invalid_argument` unless it is https, or http on this machine, without
 * credentials.
 */
export function checkKeyUrl(url: URL, what: string): void {
  const { protocol, hostname, username, password } = url;
  const isLocal = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && isLocal)) {
    throw new MicroError(
      "invalid_argument",
      `${what} must be an https URL; http is accepted only for this machine (localhost): without TLS, anyone between could replace the keys`,
      { outcome: "not-executed" },
    );
  }
  if (username !== "" || password !== "") {
    throw new MicroError("invalid_argument", `${what} must not contain credentials`, {
      outcome: "not-executed",
    });
  }
}

/**
 * Requests a small document over a connection of its own, which is closed afterwards. It never
 * follows a redirect, which could lead to an address inside the network.
 *
 * @throws MicroError `unavailable` with the reason.
 */
export async function httpsGet(url: URL, { signal, ca }: GetOptions): Promise<string> {
  const response = await respond(url, { signal, ca });
  try {
    const { statusCode, headers } = response;
    if (statusCode !== 200) throw failed(url, `it responded with status ${statusCode}`);
    const encoding = headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") throw failed(url, "it sent a compressed response unasked");
    if (Number(headers["content-length"] ?? 0) > maxDocumentBytes) throw tooLarge(url);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxDocumentBytes) throw tooLarge(url);
      chunks.push(chunk);
    }
    if (!response.complete) throw failed(url, "the response was cut off");
    return Buffer.concat(chunks, size).toString("utf8");
  } catch (error) {
    throw error instanceof MicroError ? error : failed(url, (error as Error).message, error);
  } finally {
    response.destroy();
  }
}

function respond(url: URL, { signal, ca }: GetOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { agent: false as const, headers: { accept: "application/json" }, signal };
    const request =
      url.protocol === "https:"
        ? httpsRequest(url, { ...options, ...(ca !== undefined && { ca }) }, resolve)
        : httpRequest(url, options, resolve);
    request.on("error", (error) => reject(failed(url, error.message, error)));
    request.end();
  });
}

function tooLarge(url: URL): MicroError {
  return failed(url, `the response is larger than ${maxDocumentBytes} bytes`);
}

function failed({ origin, pathname }: URL, reason: string, cause?: unknown): MicroError {
  return new MicroError("unavailable", `cannot get ${origin}${pathname}: ${reason}`, {
    outcome: "not-executed",
    ...(cause !== undefined && { cause }),
  });
}
