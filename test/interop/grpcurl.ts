import { goTool } from "../support/go-tool.ts";
import { expect, expectEqual } from "./cases.ts";
import type { Credentials } from "./credentials.ts";
import type { CaseResult } from "./matrix.ts";
import { type Missing, ours } from "./peers.ts";
import { runProgram, startServer } from "./process.ts";

const grpcurl = "1.9.3";

/** Uses of grpcurl, which discovers our server through reflection alone. */
const uses: Readonly<
  Record<string, (run: (...words: string[]) => Promise<string>) => Promise<void>>
> = {
  async list(run) {
    const services = (await run("list")).split("\n");
    expect(services.includes("grpc.testing.TestService"), `list found ${services.join(", ")}`);
  },
  async "list methods"(run) {
    const methods = await run("list", "grpc.testing.TestService");
    expect(methods.includes("grpc.testing.TestService.UnaryCall"), `list found ${methods}`);
  },
  async describe(run) {
    const text = await run("describe", "grpc.testing.TestService");
    const line = "rpc StreamingOutputCall ( .grpc.testing.StreamingOutputCallRequest )";
    expect(text.includes(line), `describe found ${text}`);
  },
  async "describe a message"(run) {
    const text = await run("describe", ".grpc.testing.SimpleRequest");
    expect(text.includes("int32 response_size = 2;"), `describe found ${text}`);
  },
  async call(run) {
    const text = await run("-d", '{"responseSize": 3}', "grpc.testing.TestService/UnaryCall");
    expectEqual(JSON.parse(text).payload.body, "AAAA", "body of the response");
  },
  async "call a stream"(run) {
    const request = '{"responseParameters": [{"size": 1}, {"size": 3}]}';
    const text = await run("-d", request, "grpc.testing.TestService/StreamingOutputCall");
    expectEqual(text.match(/"body"/g)?.length, 2, "answers");
  },
  async "check health"(run) {
    const text = await run("grpc.health.v1.Health/Check");
    expectEqual(JSON.parse(text).status, "SERVING", "status");
  },
};

/** Undefined if there is neither grpcurl nor Go to build it. */
export function grpcurlProgram(): Promise<string | undefined> {
  return goTool("github.com/fullstorydev/grpcurl/cmd/grpcurl", grpcurl);
}

/**
 * Runs grpcurl against our server, once with all versions of reflection and once with only the
 * older one.
 */
export async function runGrpcurl(
  credentials: Credentials | undefined,
): Promise<readonly CaseResult[] | Missing> {
  const program = await grpcurlProgram();
  if (program === undefined) {
    return { name: "grpcurl", fix: "install Go 1.25 or newer: https://go.dev/doc/install" };
  }
  const tls = credentials !== undefined;
  const results: CaseResult[] = [];
  for (const version of ["v1", "v1alpha"]) {
    const { argv } = ours.server(credentials);
    const only = version === "v1" ? [] : ["--only-v1alpha"];
    const server = await startServer({ argv: [...argv, ...only] }, ours.address);
    const security = tls ? ["-cacert", credentials.certFile] : ["-plaintext"];
    const run = async (...words: string[]) => {
      const options = words[0] === "-d" ? words.splice(0, 2) : [];
      const { status, stdout, stderr } = await runProgram({
        argv: [program, ...security, ...options, server.address, ...words],
      });
      expect(status === 0, `grpcurl ended with ${status}: ${stderr.trim()}`);
      return stdout;
    };
    for (const [name, use] of Object.entries(uses)) {
      const failed = await use(run).then(
        () => undefined,
        (error: Error) => error.message,
      );
      const client = `grpcurl, reflection ${version}`;
      results.push({ client, server: ours.name, tls, name: `grpcurl: ${name}`, error: failed });
    }
    await server.stop();
  }
  return results;
}
