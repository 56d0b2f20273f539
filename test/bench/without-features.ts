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

const featureCuts: readonly Cut[] = [
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

/** Code on the same path that exists only because a caller could have to be admitted. */
const accessCuts: readonly Cut[] = [
  {
    file: "client/attempts.ts",
    code: `const source = this.#credentials.sourceOf(call);
    return source === undefined ? channel : this.#credentials.attach(source, attempt, channel);`,
    instead: "return channel;",
  },
  {
    file: "transport/native/client-connection.ts",
    code: `const { credential } = outgoing;
    const proof = credential === undefined ? 0 : this.#credentials.numberOf(credential);
    const metadata = encodedMetadata(outgoing.metadata, proof === 0 ? credential : undefined);`,
    instead: "const metadata = encodedMetadata(outgoing.metadata, undefined);",
  },
  {
    file: "transport/native/client-connection.ts",
    code: " | (proof === 0 ? 0 : flag.credential)",
  },
  {
    file: "transport/native/client-connection.ts",
    code: "if (proof !== 0) this.writer.uint16(proof);",
  },
  {
    file: "transport/native/server-connection.ts",
    code: `let from = start;
    let proof = 0;`,
    upTo: "const at = (flags & flag.metadata) === 0 ? from",
    instead: "const from = start; const proof = 0;\n",
  },
  {
    file: "transport/native/server-connection.ts",
    code: `const { access } = this.dispatcher;
    let identity: Awaitable<Identity | undefined>;`,
    upTo: "const deadline: Deadline = aux === 0",
    instead: "let identity, access;\n",
  },
  {
    file: "transport/native/server-connection.ts",
    code: `    if (access !== undefined) this.#admit(call, identity);
    if (call.isWaiting) call.hold(bytes, at, end);
    else if (!call.ended) call.run(bytes, at, end);`,
    instead: "if (!call.ended) call.run(bytes, at, end);",
  },
];

const cutsOf = { features: featureCuts, access: accessCuts } as const;
/** The parts of the runtime that can be cut out of it. */
export type CutPart = keyof typeof cutsOf;

/** The files of the runtime that have a cut, with the part that is cut out of each. */
export const cutFiles: readonly (readonly [part: CutPart, file: string])[] = (
  Object.keys(cutsOf) as CutPart[]
).flatMap((part) => filesOf(part).map((file) => [part, file] as const));

function filesOf(part: CutPart): readonly string[] {
  return [...new Set(cutsOf[part].map(({ file }) => file))];
}

/**
 * A source file of the runtime without the code of a part.
 *
 * @throws Error when a cut is not found once: the file was rewritten, and the lists above were not
 */
export function without(part: CutPart, file: string): string {
  let source = readFileSync(join(runtimeSources, file), "utf8");
  for (const cut of cutsOf[part]) {
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
 * Bundles the runtime from its sources, without the code of a part. The result works only for the
 * benchmark.
 */
export function cuttingOut(part: CutPart): Plugin {
  return {
    name: `without ${part}`,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^@micro-es\/runtime$/ }, () => ({
        path: join(runtimeSources, "index.ts"),
      }));
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(runtimeSources, path);
        if (!filesOf(part).includes(file)) return undefined;
        return { contents: without(part, file), loader: "ts" };
      });
    },
  };
}
