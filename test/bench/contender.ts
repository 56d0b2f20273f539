/** The measured suites; each requires other abilities of a contender. */
export type Suite = "unary" | "download" | "pingpong" | "publish" | "connect";

/** The serving side, in a separate process. */
export interface BenchServer {
  /** The address that the calling side needs to reach it. */
  readonly address: string;
  close(): Promise<void>;
}

/** The calling side, in a separate process. Absent abilities are not measured. */
export interface BenchCaller {
  /**
   * One call that returns its payload, as a user would make it. Resolves with the response or its
   * length.
   */
  unary?(payload: Uint8Array): Promise<number | { readonly payload: { readonly length: number } }>;
  /** Reads `count` messages of the payload; resolves with the number received. */
  download?(payload: Uint8Array, count: number): Promise<number>;
  /** Sends `count` messages on one stream, each after the response to the previous one. */
  pingPong?(payload: Uint8Array, count: number): Promise<number>;
  /**
   * Makes one side publish `count` events and the other receive them; resolves when all have
   * arrived.
   */
  publish?(payload: Uint8Array, count: number): Promise<number>;
  /** Opens a connection, makes one call and closes it. */
  connectOnce?(): Promise<void>;
  close(): Promise<void>;
}

/** One competitor: a file that exports this as `contender`. */
export interface Contender {
  readonly name: string;
  /** A one-line description: protocol, codec, versions. */
  readonly about: string;
  /** Why it cannot run here; undefined if it can. */
  unavailable?(): Promise<string | undefined>;
  serve(): Promise<BenchServer>;
  connect(address: string): Promise<BenchCaller>;
}
