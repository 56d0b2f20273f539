import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "../attack.ts";
import { goMicroHead, httpHead } from "../wire/http1.ts";

/**
 * How long a request may take that comes byte by byte, and the time to notice it, in milliseconds.
 */
const longestMs = 20_000;
const json = "Content-Type: application/json";
const chunked = "Transfer-Encoding: chunked";

/** The beginning of each request, and the bytes that follow every 500 ms. */
const requests = {
  "body of go-micro": [goMicroHead("Say", json, "Content-Length: 1000"), "a"],
  "trailers of go-micro": [`${goMicroHead("Say", json, chunked)}0\r\n`, "a: b\r\n"],
  "header of go-micro": ["POST / HTTP/1.1\r\nHost: localhost\r\n", "a"],
  "body of HTTP/1.1": [httpHead("Say", json, "Content-Length: 1000"), "a"],
  "chunks of HTTP/1.1": [httpHead("Say", json, chunked), "1\r\na\r\n"],
} as const;

export const attack: Attack = {
  protocol: "go-micro",
  description: "bodies and trailers that drip for ever, by go-micro and HTTP/1.1",
  bounds: { cpuMsPerMB: 1_000_000, heldPerByte: 1_000 },
  slow: true,
  async run(target) {
    const open = new Set<string>();
    const dripping = Object.entries(requests).map(async ([name, [head, drip]]) => {
      const connection = await target.connect();
      open.add(name);
      await connection.write(head);
      const timer = setInterval(() => connection.isOpen && connection.socket.write(drip), 500);
      await connection.closed;
      clearInterval(timer);
      open.delete(name);
    });
    await Promise.race([Promise.all(dripping), sleep(longestMs)]);
    if (open.size > 0) throw new Error(`still open after ${longestMs} ms: ${[...open].join(", ")}`);
  },
};
