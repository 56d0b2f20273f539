import type { HeaderField } from "./header-field.ts";

/**
 * Header fields that are sent again and again, such as those of each response. An encoder keeps
 * their encoding, so a template should live as long as its connections.
 */
export class HeaderTemplate {
  readonly fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
  }
}
