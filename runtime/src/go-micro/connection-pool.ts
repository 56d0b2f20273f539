import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";

/** Opens the connections of a channel, all to one server. */
export interface ConnectionPool {
  /** The address of the server, as it was dialed. */
  readonly address: string;
  /**
   * Opens a connection.
   * @throws MicroError `unavailable`, `not-executed`, if nothing responds there.
   */
  open(owner: ConnectionOwner): Promise<GoMicroConnection>;
}
