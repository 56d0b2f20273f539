/**
 * A short text of nothing but ASCII; undefined for any other. `fromCharCode` with as many arguments as the text
 * has characters is two to three times as fast as a call into the platform, and allocates nothing else.
 */
export function asciiText(b: Uint8Array, at: number, end: number): string | undefined {
  const length = end - at;
  if (length > 12) return undefined;
  let bits = 0;
  for (let i = at; i < end; i++) bits |= b[i]!;
  if (bits > 0x7f) return undefined;
  // biome-ignore format: it is a table
  switch (length) {
    case 0: return "";
    case 1: return of(b[at]!);
    case 2: return of(b[at]!, b[at + 1]!);
    case 3: return of(b[at]!, b[at + 1]!, b[at + 2]!);
    case 4: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!);
    case 5: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!);
    case 6: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!);
    case 7: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!);
    case 8: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!);
    case 9: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!);
    case 10: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!);
    case 11: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!);
    default: return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!);
  }
}

const of: (...codes: number[]) => string = String.fromCharCode;
