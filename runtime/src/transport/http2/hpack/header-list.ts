import type { HeaderField } from "./header-field.ts";

/**
 * A decoded header block. Blocks that repeat share one list, so receivers must not change it.
 */
export class HeaderList {
  readonly fields: readonly HeaderField[];
  /** Whether it exceeds a limit; the fields beyond the limit are missing. */
  readonly isTooLarge: boolean;
  /** Whether all its fields have only characters that they may have. */
  readonly isValid: boolean;
  /**
   * What its receiver has derived from the fields, so that a list that repeats is examined once.
   */
  memo: unknown;
  /** The same, for the receiver of the message. */
  note: unknown;

  constructor(fields: readonly HeaderField[], isTooLarge = false, isValid = true) {
    this.fields = fields;
    this.isTooLarge = isTooLarge;
    this.isValid = isValid;
  }

  /** The value of the first field with a name. */
  get(name: string): string | undefined {
    for (const field of this.fields) if (field.name === name) return field.value;
    return undefined;
  }
}
