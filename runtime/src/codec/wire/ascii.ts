/**
 * A text of up to twenty characters, all of them ASCII; undefined for any other. `fromCharCode` with as many
 * arguments as the text has characters is two to three times as fast as a call into the platform, and allocates
 * nothing else. There is no loop over the bytes because where it ends would be hard to predict.
 */
export function asciiText(b: Uint8Array, at: number, end: number): string | undefined {
  // biome-ignore format: it is a table
  switch (end - at) {
    case 0: return "";
    case 1: return b[at]! > 0x7f ? undefined : of(b[at]!);
    case 2: return (b[at]! | b[at + 1]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!);
    case 3: return (b[at]! | b[at + 1]! | b[at + 2]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!);
    case 4: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!);
    case 5: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!);
    case 6: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!);
    case 7: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!);
    case 8: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!);
    case 9: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!);
    case 10: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!);
    case 11: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!);
    case 12: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!);
    case 13: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!);
    case 14: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!);
    case 15: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!);
    case 16: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]! | b[at + 15]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!);
    case 17: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]! | b[at + 15]! | b[at + 16]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!, b[at + 16]!);
    case 18: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]! | b[at + 15]! | b[at + 16]! | b[at + 17]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!, b[at + 16]!, b[at + 17]!);
    case 19: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]! | b[at + 15]! | b[at + 16]! | b[at + 17]! | b[at + 18]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!, b[at + 16]!, b[at + 17]!, b[at + 18]!);
    case 20: return (b[at]! | b[at + 1]! | b[at + 2]! | b[at + 3]! | b[at + 4]! | b[at + 5]! | b[at + 6]! | b[at + 7]! | b[at + 8]! | b[at + 9]! | b[at + 10]! | b[at + 11]! | b[at + 12]! | b[at + 13]! | b[at + 14]! | b[at + 15]! | b[at + 16]! | b[at + 17]! | b[at + 18]! | b[at + 19]!) > 0x7f ? undefined : of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!, b[at + 9]!, b[at + 10]!, b[at + 11]!, b[at + 12]!, b[at + 13]!, b[at + 14]!, b[at + 15]!, b[at + 16]!, b[at + 17]!, b[at + 18]!, b[at + 19]!);
    default: return undefined;
  }
}

const of: (...codes: number[]) => string = String.fromCharCode;
