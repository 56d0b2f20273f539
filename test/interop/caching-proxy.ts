import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A proxy in front of one HTTP server that serves cacheable responses from its cache. */
export class CachingProxy {
  readonly #server: Server;
  readonly #cached = new Map<string, { headers: IncomingHttpHeaders; body: Buffer }>();

  private constructor(target: string) {
    this.#server = createServer((incoming, response) => {
      const url = incoming.url ?? "/";
      const known = this.#cached.get(url);
      if (incoming.method === "GET" && known !== undefined) {
        response.writeHead(200, known.headers).end(known.body);
        return;
      }
      const { method, headers } = incoming;
      const outgoing = request(`http://${target}${url}`, { method, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const body = Buffer.concat(chunks);
          const mayKeep = /max-age=[1-9]/.test(answer.headers["cache-control"] ?? "");
          if (method === "GET" && mayKeep) this.#cached.set(url, { headers: answer.headers, body });
          response.writeHead(answer.statusCode ?? 502, answer.headers).end(body);
        });
      });
      outgoing.on("error", (error) => response.writeHead(502).end(error.message));
      incoming.pipe(outgoing);
    });
  }

  static async start(target: string): Promise<CachingProxy> {
    const proxy = new CachingProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
