/** A limitation of a runtime, and its reason. docs/runtimes.md lists the same for users. */
export interface Known {
  /** The runtime of the service. */
  readonly server: string;
  readonly protocols: readonly string[];
  /** Names of calls that fail there, or do at times. */
  readonly calls: readonly string[];
  /** Whether the process of the service endsBadly when it stops. */
  readonly endsBadly: boolean;
  readonly reason: string;
}

export const known: readonly Known[] = [
  {
    server: "Deno",
    protocols: ["Connect over HTTP/1.1"],
    // The last one may get the connection that a stream used.
    calls: ["server streaming", "bidirectional streaming", "an error of the handler"],
    endsBadly: true,
    reason:
      "Deno's node:http closes a connection after a streamed response without saying so before",
  },
];
