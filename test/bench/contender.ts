/** What is measured; each needs other abilities of a contender. */
export type Suite = "unary" | "download" | "pingpong" | "publish" | "connect";

/** The serving side, in a process of its own. */
export interface BenchServer {
  /** What the calling side needs to reach it. */
  readonly address: string;
  close(): Promise<void>;
}

/** The calling side, in a process of its own. Absent abilities are not measured. */
export interface BenchCaller {
  /** One call that answers with its payload, as a user would make it. Resolves with the answer or its length. */
  unary?(payload: Uint8Array): Promise<number | { readonly payload: { readonly length: number } }>;
  /** Reads `count` messages of the payload; resolves with how many came. */
  download?(payload: Uint8Array, count: number): Promise<number>;
  /** Sends `count` messages on one stream, each after the answer to the one before. */
  pingPong?(payload: Uint8Array, count: number): Promise<number>;
  /** Has `count` events published by one side and heard by the other; resolves when all have come. */
  publish?(payload: Uint8Array, count: number): Promise<number>;
  /** Opens a connection, makes one call and closes it. */
  connectOnce?(): Promise<void>;
  close(): Promise<void>;
}

/** One competitor: a file that exports this as `contender`. */
export interface Contender {
  readonly name: string;
  /** What it is, in a line: protocol, codec, versions. */
  readonly about: string;
  /** Why it cannot run here; undefined when it can. */
  unavailable?(): Promise<string | undefined>;
  serve(): Promise<BenchServer>;
  connect(address: string): Promise<BenchCaller>;
}
