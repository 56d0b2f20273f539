import type { CaseResult } from "./matrix.ts";
import { ours } from "./peers.ts";

/**
 * The cases in which our server makes a mistake, each of another kind
 * (`programs/planted-server.ts`).
 */
const ofServer: readonly string[] = [
  "large_unary",
  "client_streaming",
  "server_streaming",
  "custom_metadata",
  "status_code_and_message",
  "special_status_message",
  "client_compressed_unary",
  "server_compressed_unary",
];
/** The case in which our client makes one: it asks for a byte too few. */
const ofClient = "large_unary";
/**
 * Other cases that reveal the mistake of `large_unary`, which affects every response requested by
 * size.
 */
const likeLargeUnary: readonly string[] = ["unary", "grpcurl: call"];

/** The cases run with planted mistakes, including one without a mistake. */
export const plantedCases: readonly string[] = [...ofServer, "empty_unary"];

/** The deviations of the suite's results from the planted mistakes. */
export function missed(results: readonly CaseResult[]): readonly string[] {
  return results.flatMap((result) => {
    const { client, server, tls, name, error } = result;
    if (shows(result) === (error !== undefined)) return [];
    const what = error === undefined ? "passed" : `failed without a mistake: ${error}`;
    return [`${name}, ${client} → ${server}, ${tls ? "TLS" : "h2c"}: ${what}`];
  });
}

/** Whether a case has to fail. */
function shows({ client, server, tls, name }: CaseResult): boolean {
  // The service gives every token all scopes, which only calls that need one reveal.
  if (client.startsWith("call credentials")) return /^(?!Read|About).* wrong scope$/.test(name);
  if (server !== ours.name) return name === ofClient;
  // A page sees no trailers, and within TLS compression cannot be observed.
  if (client.startsWith("browser") && name === "custom_metadata") return false;
  if (tls && name === "server_compressed_unary") return false;
  return ofServer.includes(name) || likeLargeUnary.includes(name);
}
