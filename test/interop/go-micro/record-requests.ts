import { once } from "node:events";
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that changes something. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** Requests pass on their way to a server. */
export interface RequestRecorder extends AsyncDisposable {
  readonly url: string;
  /** Those that change something, in order. */
  readonly requests: readonly RecordedRequest[];
}

/** Passes requests on to a server, and records those that change something. */
export async function recordRequests(target: string): Promise<RequestRecorder> {
  const requests: RecordedRequest[] = [];
  const server = createServer(async (request, response) => {
    const { method = "GET", url: path = "/", headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (method !== "GET") {
      requests.push({ method, path, body: body.length === 0 ? null : JSON.parse(`${body}`) });
    }
    const passed = send(new URL(path, target), { method, headers }, (result) => {
      response.writeHead(result.statusCode ?? 502, result.headers);
      result.pipe(response);
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    passed.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
