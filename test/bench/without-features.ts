import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Plugin } from "esbuild";

/** The sources of the runtime. */
export const runtimeSources: string = join(import.meta.dirname, "../../runtime/src");

/**
 * Code on the path of a unary call over TCP that exists only because a call could have a signal,
 * metadata, a credential, an interceptor, an observer, or its own deadline or node.
 */
interface Cut {
  readonly file: string;
  /** The code, or where it begins. */
  readonly code: string;
  /** Where it ends, exclusive; undefined if {@link code} is all of it. */
  readonly upTo?: string;
  /** The code to put in its place. Default none. */
  readonly instead?: string;
}

const cuts: readonly Cut[] = [
  // Signals, and the context of a call whose response arrives meanwhile.
  {
    file: "client/rpc-client.ts",
    code: "let signal = options.signal ?? context?.signal;",
    upTo: "return new OutboundCall(",
  },
  {
    file: "client/rpc-client.ts",
    code: `      metadata,
      signal,
      linked,
      options.filters === undefined ? this.#filters : this.#join(options.filters),`,
    instead: "undefined, undefined, undefined, this.#filters,",
  },
  {
    file: "transport/native/client-connection.ts",
    code: "if (outgoing.signal !== undefined) watchAbort(outgoing.signal, call);",
  },
  {
    file: "transport/native/outgoing-unary.ts",
    code: "if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);",
  },
  // A deadline or a node that the caller chose.
  {
    file: "client/rpc-client.ts",
    code: "const timed = options.timeoutMs !== undefined || options.deadline !== undefined;",
  },
  {
    file: "client/rpc-client.ts",
    code: "timed ? monotonicNow() : turnNow()",
    instead: "turnNow()",
  },
  {
    file: "client/rpc-client.ts",
    code: "address ?? options.service ?? method.service",
    instead: "method.service",
  },
  {
    file: "client/attempts.ts",
    code: "const { address } = call.options;",
    upTo: "const selected = this.#selector.select(call.target, attempt);",
  },
  // Interceptors and observers of a call.
  {
    file: "client/rpc-client.ts",
    code: `if (isObserved(call.options)) return observed(call, response);
    return this.#intercepted ? intercepted(call, response) : response;`,
    instead: "return response;",
  },
  {
    file: "client/rpc-client.ts",
    code: "if (!this.#intercepted) return this.#attempts.unary(call, request);",
    instead: "return this.#attempts.unary(call, request);",
  },
  {
    file: "client/attempts.ts",
    code: `const source = this.#credentials.sourceOf(call);
    return source === undefined ? channel : this.#credentials.attach(source, attempt, channel);`,
    instead: "return channel;",
  },
  // Metadata and credentials of requests, and metadata of responses.
  {
    file: "client/outbound-call.ts",
    code: "const previous = this.attempts++;",
    upTo: "  /** Adds the outcome of a failed attempt. */",
    instead: "this.attempts++; return undefined; }",
  },
  {
    file: "transport/native/client-connection.ts",
    code: "const refusal = callRefusal(method.name, outgoing);",
    upTo: "const number = method === this.#lastMethod",
  },
  {
    file: "transport/native/client-connection.ts",
    code: "flags | (metadata === undefined ? 0 : flag.metadata) | (proof === 0 ? 0 : flag.credential),",
    instead: "flags,",
  },
  {
    file: "transport/native/client-connection.ts",
    code: `if (proof !== 0) this.writer.uint16(proof);
    if (metadata !== undefined) this.writer.block(metadata);`,
  },
  {
    file: "transport/native/server-connection.ts",
    code: "if ((flags & flag.credential) !== 0) {",
    upTo: "if ((flags & flag.message) === 0 && at < end) {",
    instead: "const at = from; const metadata = undefined;\n",
  },
  {
    file: "transport/native/incoming-call.ts",
    code: "const metadata = this.headersSent ? undefined : encoded(this.sentMetadata, this.method);",
    upTo: "  }\n}\n\n/** Encodes the metadata of a response",
    instead: "writer.open(frameType.result, flags, method, this.id, aux);\n",
  },
  {
    file: "transport/native/client-connection.ts",
    code: `if ((flags & flag.metadata) !== 0) {
      at = blockEnd(bytes, start, end);`,
    upTo: "if ((flags & flag.error) !== 0) call.refused(",
  },
  { file: "server/dispatcher.ts", code: "call.propagate = this.#propagate;" },
];

/** The files of the runtime that have a cut. */
export const cutFiles: readonly string[] = [...new Set(cuts.map(({ file }) => file))];

/**
 * A source file of the runtime without the code for features.
 *
 * @throws Error when a cut is not found once: the file was rewritten, and the list above was not
 */
export function withoutFeatures(file: string): string {
  let source = readFileSync(join(runtimeSources, file), "utf8");
  for (const cut of cuts) {
    if (cut.file !== file) continue;
    const { code, upTo, instead = "" } = cut;
    const start = source.indexOf(code);
    const end = upTo === undefined ? start + code.length : source.indexOf(upTo, start);
    if (start < 0 || end < start || source.indexOf(code, start + 1) >= 0) {
      throw new Error(
        `${file} does not have this code exactly once, which the ablation cuts out: ${code}`,
      );
    }
    source = source.slice(0, start) + instead + source.slice(end);
  }
  return source;
}

/**
 * Bundles the runtime from its sources, without the code for features. The result works only for
 * the benchmark.
 */
export function cuttingFeaturesOut(): Plugin {
  return {
    name: "without features",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^@micro-es\/runtime$/ }, () => ({
        path: join(runtimeSources, "index.ts"),
      }));
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(runtimeSources, path);
        if (!cutFiles.includes(file)) return undefined;
        return { contents: withoutFeatures(file), loader: "ts" };
      });
    },
  };
}
