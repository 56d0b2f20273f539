import { codeLengths, codes, endOfString } from "./huffman-code.ts";

/**
 * The decoder is a state machine over half bytes. A state is an inner node of the code's tree, of
 * which there are 256. A transition has the next state in its low 8 bits, then these flags, and
 * from bit 16 the decoded byte.
 */
const emits = 0x100;
const fails = 0x200;

interface Machine {
  /** By state * 16 + half byte. */
  readonly transitions: Uint32Array;
  /** By state: whether a string may end there, after less than a byte of padding with ones. */
  readonly mayEnd: Uint8Array;
}

/** Built with the first string that needs it. */
let machine: Machine | undefined;

/**
 * Decodes a Huffman-coded string into `target`, which must have room for 8/5 of the coded bytes.
 * Returns the decoded length, or -1 if the coding is invalid.
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
): number {
  machine ??= buildMachine();
  const { transitions, mayEnd } = machine;
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    let next = transitions[(state << 4) | (byte >>> 4)]!;
    if ((next & emits) !== 0) target[length++] = next >>> 16;
    let failed = next & fails;
    next = transitions[((next & 0xff) << 4) | (byte & 0xf)]!;
    if ((next & emits) !== 0) target[length++] = next >>> 16;
    failed |= next & fails;
    if (failed !== 0) return -1;
    state = next & 0xff;
  }
  return mayEnd[state] === 1 ? length : -1;
}

/** Length of a string in Huffman coding, in bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += codeLengths[text.charCodeAt(at)]!;
  return (bits + 7) >>> 3;
}

/**
 * Writes a string of one-byte characters in Huffman coding, and returns where it ends. The target
 * must have room for {@link huffmanLength} bytes.
 */
export function encodeHuffman(text: string, target: Uint8Array, offset: number): number {
  const symbolCodes = codes;
  const symbolBits = codeLengths;
  let at = offset;
  // At most 7 bits wait, so that a code of up to 24 bits fits as well.
  let waiting = 0;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index);
    let code = symbolCodes[symbol]!;
    let bits = symbolBits[symbol]!;
    if (bits > 24) {
      waiting = (waiting << 16) | (code >>> (bits - 16));
      count += 16;
      while (count >= 8) {
        count -= 8;
        target[at++] = waiting >> count;
      }
      bits -= 16;
      code &= (1 << bits) - 1;
    }
    waiting = (waiting << bits) | code;
    count += bits;
    while (count >= 8) {
      count -= 8;
      target[at++] = waiting >> count;
    }
  }
  if (count > 0) target[at++] = (waiting << (8 - count)) | (0xff >>> count);
  return at;
}

function buildMachine(): Machine {
  const { children, mayEnd } = buildTree();
  const transitions = new Uint32Array(mayEnd.length * 16);
  for (let state = 0; state < mayEnd.length; state++) {
    for (let half = 0; half < 16; half++) {
      let node = state;
      let transition = 0;
      for (let bit = 3; bit >= 0 && transition !== fails; bit--) {
        const child = children[node * 2 + ((half >>> bit) & 1)]!;
        if (child >= 0) node = child;
        else if (~child === endOfString) transition = fails;
        else {
          transition = emits | (~child << 16);
          node = 0;
        }
      }
      transitions[state * 16 + half] = transition === fails ? fails : transition | node;
    }
  }
  return { transitions, mayEnd };
}

/**
 * The code's tree. Each inner node has two children: an inner node, or the complement of a symbol.
 */
function buildTree(): { readonly children: Int32Array; readonly mayEnd: Uint8Array } {
  const nodes = codes.length - 1;
  const children = new Int32Array(nodes * 2);
  let count = 1;
  for (let symbol = 0; symbol < codes.length; symbol++) {
    let node = 0;
    for (let bit = codeLengths[symbol]! - 1; bit >= 0; bit--) {
      const place = node * 2 + ((codes[symbol]! >>> bit) & 1);
      if (bit === 0) children[place] = ~symbol;
      else {
        // No node has the root as a child, so 0 means that there is none yet.
        if (children[place] === 0) children[place] = count++;
        node = children[place]!;
      }
    }
  }
  const mayEnd = new Uint8Array(nodes);
  for (let node = 0, depth = 0; depth < 8; depth++) {
    mayEnd[node] = 1;
    node = children[node * 2 + 1]!;
  }
  return { children, mayEnd };
}
