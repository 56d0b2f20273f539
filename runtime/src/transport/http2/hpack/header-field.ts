/** What RFC 7541 counts for an entry of a table in addition to its name and value, in bytes. */
export const entryOverheadBytes = 32;

/**
 * One line of a header. Fields that a table holds are shared by all header lists that refer to
 * them.
 */
export class HeaderField {
  /** In lower case. Each character is one byte, as in the value. */
  readonly name: string;
  readonly value: string;
  /**
   * Whether the field never enters a table, here or at an intermediary, so that its value cannot be
   * guessed by observing how well guesses compress (RFC 7541 section 7.1).
   */
  readonly isSensitive: boolean;
  /** Whether the name and the value have only characters that they may have. */
  readonly isValid: boolean;

  constructor(name: string, value: string, isSensitive = false, isValid = true) {
    this.name = name;
    this.value = value;
    this.isSensitive = isSensitive;
    this.isValid = isValid;
  }

  /** Its size in a table and in a header list, in bytes. */
  get size(): number {
    return this.name.length + this.value.length + entryOverheadBytes;
  }
}
