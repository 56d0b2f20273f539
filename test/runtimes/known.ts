/** What does not work on a runtime, and why. docs/runtimes.md says the same to users. */
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
    server: "Bun",
    protocols: ["gRPC", "Connect"],
    calls: ["300 kB"],
    endsBadly: false,
    reason:
      "Bun's node:http2 stops reading a request after 64 KiB when the window of the session was set",
  },
  {
    server: "Deno",
    protocols: ["gRPC", "Connect"],
    calls: [],
    endsBadly: true,
    reason:
      "Deno's node:http2 fails an assertion of nghttp2 when a session with ended streams says GOAWAY",
  },
  {
    server: "Deno",
    protocols: ["Connect over HTTP/1.1"],
    calls: ["server streaming", "bidirectional streaming"],
    endsBadly: true,
    reason:
      "Deno's node:http closes a connection after a streamed response without saying so before",
  },
];
