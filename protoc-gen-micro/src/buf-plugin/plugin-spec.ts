/** The only version of PluginRPC. */
const protocolVersion = "1";

/** The paths of the procedures that buf calls, in the order of their service. */
const procedurePaths = ["Check", "ListRules", "ListCategories"].map(
  (method) => `/buf.plugin.check.v1.CheckService/${method}`,
);

/**
 * The response to `--protocol`, and to `--spec` in the binary format; undefined for other
 * arguments. buf asks for both as often as it asks for anything else, and starts a process each
 * time. They are therefore written without protobuf-es, which takes longer to load than Node to
 * start.
 */
export function responseWithoutLoading(args: readonly string[]): Uint8Array | string | undefined {
  if (args.includes("--protocol")) return `${protocolVersion}\n`;
  const format = args.indexOf("--format");
  const isBinary = format < 0 || args[format + 1] === "binary";
  return args.includes("--spec") && isBinary ? spec() : undefined;
}

/** A message pluginrpc.v1.Spec: a field 1 per procedure, whose field 1 is the path. */
function spec(): Uint8Array {
  const procedures = procedurePaths.map((path) => delimited(new TextEncoder().encode(path)));
  return Buffer.concat(procedures.map(delimited));
}

/** Field 1 with this content, which is shorter than 128 bytes. */
function delimited(content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x0a, content.length), content]);
}
