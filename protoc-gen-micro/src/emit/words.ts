import { safeIdentifier } from "@bufbuild/protoplugin";

// A string literal, or an identifier or number with its property accesses and the colon of a
// property or parameter.
const tokens = /"(?:[^"\\]|\\.)*"|[\w$.]+:?/g;

/**
 * Collects the words in code that may be names. Properties and strings are not; a parameter counts
 * where it is used.
 */
export function collectWords(code: string, words: Set<string>): void {
  for (const token of code.match(tokens) ?? []) {
    if (!/^[A-Za-z_$].*[^:]$|^[A-Za-z_$]$/.test(token)) continue;
    const end = token.indexOf(".");
    words.add(end < 0 ? token : token.slice(0, end));
  }
}

/** Whether no declaration in a module can have this name. */
export function isReserved(name: string): boolean {
  return safeIdentifier(name) !== name || /^(await|arguments|eval)$/.test(name);
}
