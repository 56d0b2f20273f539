import { describe, expect, test } from "vitest";
import { escapeControls } from "./terminal-text.ts";

describe("escapeControls", () => {
  test.each([
    ["C0", "\u0000\u0007\u0008\u001b[2J\u001f", "\\u0000\\u0007\\u0008\\u001b[2J\\u001f"],
    ["DEL and C1", "\u007f\u0080\u009b31m\u009d\u009f", "\\u007f\\u0080\\u009b31m\\u009d\\u009f"],
    ["line ends", "a\nb\rc\td\u0085e\u2028f\u2029g", "a\\nb\\rc\\td\\u0085e\\u2028f\\u2029g"],
    ["overrides", "\u202aa\u202bb\u202cc\u202dd\u202e", "\\u202aa\\u202bb\\u202cc\\u202dd\\u202e"],
    ["isolates", "\u2066a\u2067b\u2068c\u2069", "\\u2066a\\u2067b\\u2068c\\u2069"],
    ["marks", "\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"],
    ["none of what people write", "Zoë שלום 👩‍👩‍👧 日本 \\n ✓", "Zoë שלום 👩‍👩‍👧 日本 \\n ✓"],
  ])("escapes %s", (_, text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
    expect(escapeControls(escaped)).toBe(escaped);
  });

  test("keeps line breaks and tabs in multi-line text, and no carriage return", () => {
    expect(escapeControls("a\n\tb\r\u001b", { lines: true })).toBe("a\n\tb\\r\\u001b");
  });

  test("leaves the value of a JSON text unchanged", () => {
    const value = { "\u009b": "\u202e\u2028\u007f\u001b\n" };
    for (const space of [undefined, 2]) {
      const json = escapeControls(JSON.stringify(value, null, space), { lines: true });
      expect(JSON.parse(json)).toEqual(value);
      expect(json).not.toMatch(/[^\P{Cc}\n]|[\u2028-\u202e]/u);
    }
  });
});
