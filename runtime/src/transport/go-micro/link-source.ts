import type { GoMicroLink, LinkOwner } from "./link.ts";

/** Where a channel has its links from, all to one server. */
export interface LinkSource {
  /** Where the server is, as it was dialled. */
  readonly address: string;
  /**
   * Opens a link.
   * @throws MicroError `unavailable`, `not-executed`, when nobody answers there.
   */
  open(owner: LinkOwner): Promise<GoMicroLink>;
}
