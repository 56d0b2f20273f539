import { expect, test } from "vitest";
import { ConnectionError, errorCode } from "../error-code.ts";
import { HpackDecoder } from "./decoder.ts";

const limits = { maxTableBytes: 4096, maxListBytes: 1000, maxFields: 20 };

function decode(hex: string, decoder = new HpackDecoder(limits)) {
  const bytes = Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  return decoder.decode(bytes, 0, bytes.length);
}

const ones = (count: number) => "ff".repeat(count);

test.each([
  ["index 0", "80", /field 0/],
  ["an index beyond both tables", "be", /field 62/],
  ["the name of a field that does not exist", "7f 00 01 61", /field 63/],
  ["an integer without an end", "ff", /within an integer/],
  ["an integer of more than 28 bits", "ff 80 80 80 80 01", /28 bits/],
  ["an integer padded with zeros without end", `ff ${"80".repeat(12)} 00`, /28 bits/],
  ["a literal without a name", "40", /within a field/],
  ["a literal without a value", "40 01 61", /within a field/],
  ["a name beyond the block", "40 05 61", /within a string/],
  ["a value beyond the block", "40 01 61 05 61", /within a string/],
  ["a value of 250 MB", "40 01 61 7f ff ff ff 77", /within a string/],
  ["Huffman padding with zeros", "00 81 18 00", /Huffman/],
  ["Huffman padding of a whole byte", "00 82 1f ff 00", /Huffman/],
  ["the end of a string within a Huffman string", `00 84 ${ones(4)} 00`, /Huffman/],
  ["a table larger than was announced", "3f e2 1f", /over its limit/],
  ["a change of the table after a field", "82 20", /after its first field/],
])("refuses %s", (_what, hex, message) => {
  let error: unknown;
  try {
    decode(hex);
  } catch (reason) {
    error = reason;
  }
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({
    code: errorCode.compressionError,
    message: expect.stringMatching(message),
  });
});

test.each([
  ["upper case in a name", "00 01 41 00"],
  ["a name that is empty", "00 00 00"],
  ["a name that is only a colon", "00 01 3a 00"],
  ["a colon within a name", "00 03 61 3a 62 00"],
  ["a blank in a name", "00 02 61 20 00"],
  ["a line feed in a value", "00 01 61 03 78 0a 79"],
  ["a carriage return in a value", "00 01 61 01 0d"],
  ["a zero in a value", "00 01 61 01 00"],
  ["a blank before the value of a pseudo-field", "00 02 3a 61 02 20 78"],
])("reports %s, and keeps its tables", (_what, hex) => {
  const decoder = new HpackDecoder(limits);
  expect(decode(hex, decoder).isValid).toBe(false);
  const valid = decode("40 01 61 03 78 09 ff", decoder);
  expect(valid.isValid).toBe(true);
  expect(valid.get("a")).toBe("x\t\xff");
  // With indexing, an invalid field is in the table, and still invalid when it is used from there.
  decode(hex.replace(/^00/, "40"), decoder);
  expect(decode("be", decoder).isValid).toBe(false);
  expect(decode("bf", decoder).get("a")).toBe("x\t\xff");
});

test("removes spaces at the ends of a value, and counts them in its tables", () => {
  const decoder = new HpackDecoder(limits);
  const list = decode("40 01 61 04 20 09 78 20", decoder);
  expect(list.isValid).toBe(true);
  expect(list.get("a")).toBe("x");
  expect(decode("be", decoder).get("a")).toBe("x");
  const [tabs, blanks] = ["00 01 62 05 09 79 20 7a 09", "00 01 62 02 20 09"];
  expect(decode(tabs, decoder).get("b")).toBe("y z");
  expect(decode(blanks, decoder).get("b")).toBe("");
  // A table of 37 bytes holds the field with its four bytes, one of 36 does not.
  expect(decode("3f 06 be", decoder).get("a")).toBe("x");
  expect(() => decode("3f 05 be", decoder)).toThrow(ConnectionError);
});

test("keeps no more of a list than its limits allow, and still updates its table", () => {
  const decoder = new HpackDecoder(limits);
  const many = decode("82".repeat(21), decoder);
  expect(many).toMatchObject({ isTooLarge: true });
  expect(many.fields).toHaveLength(20);
  expect(decode("82".repeat(20), decoder).isTooLarge).toBe(false);
  // An entry of 1 KB, which each of 16,000 bytes refers to: a bomb if lists copied their fields.
  decode(`40 01 61 7f 85 07 ${"62".repeat(1028)}`, decoder);
  const bomb = decode(`${"be".repeat(16_000)} 40 01 63 01 64`, decoder);
  expect(bomb.isTooLarge).toBe(true);
  expect(bomb.fields).toHaveLength(0);
  expect(decode("be", decoder).get("c")).toBe("d");
});

test("empties its table for a field larger than the table", () => {
  const decoder = new HpackDecoder({ ...limits, maxTableBytes: 64 });
  expect(decode("40 01 61 01 62", decoder).get("a")).toBe("b");
  expect(decode("be", decoder).get("a")).toBe("b");
  decode(`40 01 61 28 ${"62".repeat(40)}`, decoder);
  expect(() => decode("be", decoder)).toThrow(ConnectionError);
});

test("accepts the name of a field that its own addition evicts", () => {
  const decoder = new HpackDecoder({ ...limits, maxTableBytes: 40 });
  decode("40 01 61 01 62", decoder);
  expect(decode("7e 01 63", decoder).get("a")).toBe("c");
  expect(decode("be", decoder).get("a")).toBe("c");
});

test("decodes a block that repeats by the table as it is then", () => {
  const decoder = new HpackDecoder(limits);
  decode("40 01 61 01 31", decoder);
  const first = decode("82 be", decoder);
  expect(decode("82 be", decoder)).toBe(first);
  decode("40 01 61 01 32", decoder);
  expect(decode("82 be", decoder).get("a")).toBe("2");
  decode("20", decoder);
  expect(() => decode("82 be", decoder)).toThrow("field 62");
});

test("does not remember blocks with secrets", () => {
  const decoder = new HpackDecoder(limits);
  const block = "82 10 01 61 01 62";
  expect(decode(block, decoder)).not.toBe(decode(block, decoder));
});
