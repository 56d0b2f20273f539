/**
 * A text of at most 27 characters, if it is pure ASCII; undefined for any other. `fromCharCode`
 * with one argument per character is about twice as fast as a call into the platform, and allocates
 * nothing else. More characters would gain less, and each one adds to the size of a bundle.
 *
 * Each byte is read once, and a step down this ladder costs less than a jump by the text's length,
 * which no processor can predict.
 */
// biome-ignore format: it is a table
export function asciiText(b: Uint8Array, pos: number, end: number): string | undefined {
  if (end - pos > 27) return undefined;
  if (pos === end) return "";
  const c0 = b[pos++]!; let bits = c0;
  if (pos === end) return bits > 0x7f ? undefined : of(c0);
  const c1 = b[pos++]!; bits |= c1;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1);
  const c2 = b[pos++]!; bits |= c2;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2);
  const c3 = b[pos++]!; bits |= c3;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3);
  const c4 = b[pos++]!; bits |= c4;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4);
  const c5 = b[pos++]!; bits |= c5;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5);
  const c6 = b[pos++]!; bits |= c6;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6);
  const c7 = b[pos++]!; bits |= c7;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7);
  const c8 = b[pos++]!; bits |= c8;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8);
  const c9 = b[pos++]!; bits |= c9;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
  const c10 = b[pos++]!; bits |= c10;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10);
  const c11 = b[pos++]!; bits |= c11;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11);
  const c12 = b[pos++]!; bits |= c12;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12);
  const c13 = b[pos++]!; bits |= c13;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13);
  const c14 = b[pos++]!; bits |= c14;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14);
  const c15 = b[pos++]!; bits |= c15;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15);
  const c16 = b[pos++]!; bits |= c16;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16);
  const c17 = b[pos++]!; bits |= c17;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17);
  const c18 = b[pos++]!; bits |= c18;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18);
  const c19 = b[pos++]!; bits |= c19;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19);
  const c20 = b[pos++]!; bits |= c20;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20);
  const c21 = b[pos++]!; bits |= c21;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21);
  const c22 = b[pos++]!; bits |= c22;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22);
  const c23 = b[pos++]!; bits |= c23;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23);
  const c24 = b[pos++]!; bits |= c24;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24);
  const c25 = b[pos++]!; bits |= c25;
  if (pos === end) return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24, c25);
  const c26 = b[pos]!; bits |= c26;
  return bits > 0x7f ? undefined : of(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24, c25, c26);
}

const of = String.fromCharCode;
