import { expect, test } from "vitest";
import { MessageReader } from "./message-reader.ts";

const text = (length: number) => Buffer.alloc(length, "abcdefghij").toString("latin1");
const chunked = (body: string, size: number) => {
  let wire = "";
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.slice(at, at + size);
    wire += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${wire}0\r\nTrailer: x\r\n\r\n`;
};

const bodies = [text(0), text(1), text(3_000), text(70), text(5)];
const wire = Buffer.from(
  bodies
    .map((body, index) => {
      const head = `POST / HTTP/1.1\r\nMicro-Id: ${index}\r\n`;
      return index % 2 === 0
        ? `${head}Content-Length: ${body.length}\r\n\r\n${body}`
        : `${head}Transfer-Encoding: chunked\r\n\r\n${chunked(body, 7)}`;
    })
    .join(""),
);

test.each([1, 2, 3, 10, 64, 1_000, 100_000])(
  "reads the same messages from pieces of %i bytes",
  (size) => {
    const reader = new MessageReader({ maxBodyBytes: 10_000 });
    const found: [string | undefined, string][] = [];
    for (let at = 0; at < wire.length; at += size) {
      for (const { header, body } of reader.read(wire.subarray(at, at + size))) {
        found.push([header.get("micro-id"), Buffer.from(body).toString("latin1")]);
      }
    }
    expect(found).toEqual(bodies.map((body, index) => [String(index), body]));
    expect(reader.inMessage).toBe(false);
  },
);

test("does not change a body that was read when more arrives", () => {
  const reader = new MessageReader({ maxBodyBytes: 10_000 });
  const read = (bytes: string) => [...reader.read(Buffer.from(bytes))];
  const head = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
  read(head.slice(0, 20));
  const [first] = read(`${head.slice(20)}firstPOST / HT`);
  const [second] = read(`${head.slice(9)}other`);
  expect(Buffer.from(first!.body).toString()).toBe("first");
  expect(Buffer.from(second!.body).toString()).toBe("other");
});
