import { Buffer } from "node:buffer";

/** What a connection begins with: the version of the protocol. */
export const magic: Buffer = Buffer.from("  V2");

/** A command without a body, such as `RDY 64`. */
export function command(...words: readonly (string | number)[]): Buffer {
  return Buffer.from(`${words.join(" ")}\n`);
}

/** What precedes the body of a command: its line, and the size of the body. */
export function commandHead(line: string, bodySize: number): Buffer {
  const head = Buffer.allocUnsafe(line.length + 5);
  head.write(`${line}\n`, "latin1");
  head.writeUInt32BE(bodySize, line.length + 1);
  return head;
}
