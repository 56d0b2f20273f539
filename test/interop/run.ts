import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { runInBrowser } from "./browser/run.ts";
import { runCallCredentials } from "./call-credentials.ts";
import { makeCredentials } from "./credentials.ts";
import { fronts } from "./fronts.ts";
import { runGrpcurl } from "./grpcurl.ts";
import { type CaseResult, runAgainst } from "./matrix.ts";
import { foreignPeers, type Missing, ours, oursNative, type Peer } from "./peers.ts";
import { missed, plantedCases } from "./planted.ts";
import { runReadme } from "./readme.ts";
import { runSequentialCalls } from "./sequential.ts";
import { printFailures, printTable } from "./table.ts";

/**
 * `npm run interop [-- --plant]`: gRPC's interoperability tests between Micro-ES and the gRPC of
 * other languages, both ways, with and without TLS, then grpcurl, a browser, tokens as call
 * credentials, our server behind nginx and HAProxy, and the README's lines.
 * Prints case × pair; status 1 when anything failed. A program missing on this machine is skipped
 * with a line that says how to get it, and fails if `CI` is set. With `--plant` our programs make
 * mistakes, and status 1 means that one of them was not found, or that something else was.
 */

const began = performance.now();
const scratch = await mkdtemp(join(tmpdir(), "micro-es-interop-"));
const results: CaseResult[] = [];
const missing = new Map<string, string>();
const plant = process.argv.includes("--plant");
// Our programs read it.
if (plant) process.env.INTEROP_PLANT = "1";
const only = plant ? plantedCases : undefined;
try {
  const credentials = await makeCredentials(scratch);
  const foreign: Peer[] = [];
  for (const peer of await foreignPeers(await descriptors())) {
    if ("fix" in peer) missing.set(peer.name, peer.fix);
    else foreign.push(peer);
  }
  for (const tls of [undefined, credentials]) {
    results.push(...(await runAgainst(ours, [ours, oursNative, ...foreign], tls, only)));
    for (const peer of foreign) results.push(...(await runAgainst(peer, [ours], tls, only)));
    take(await runGrpcurl(tls));
    take(await runInBrowser(scratch, tls));
  }
  for (const found of await runCallCredentials(scratch, credentials, plant)) {
    if ("fix" in found) missing.set(found.name, found.fix);
    else results.push(found);
  }
  if (!plant) {
    for (const front of fronts()) {
      if ("fix" in front) missing.set(front.name, front.fix);
      else
        results.push(...(await runAgainst(ours, [ours, ...foreign], undefined, undefined, front)));
    }
    take(await runSequentialCalls(scratch));
    results.push(...(await runReadme()));
  }
  const screenshot = process.env.INTEROP_SCREENSHOT;
  if (screenshot !== undefined) await copyFile(join(scratch, "page.png"), screenshot);
} finally {
  await rm(scratch, { recursive: true });
}

// One table for all results with the same cases.
const kinds = new Map<string, CaseResult[]>();
for (const result of results) {
  const kind =
    /^(?:browser|grpcurl|README|sequential|call credentials)/.exec(result.client)?.[0] ?? "grpc";
  kinds.set(kind, [...(kinds.get(kind) ?? []), result]);
}
for (const of of kinds.values()) {
  printTable(of);
  console.log();
}
printFailures(results);
const failures = results.filter(({ error }) => error !== undefined).length;
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`\n${results.length - failures} passed, ${failures} failed in ${seconds} s`);
const wrong = plant ? missed(results) : [];
for (const line of wrong) console.log(`PLANTED, NOT FOUND AS IT WAS: ${line}`);
const failed = plant ? wrong.length > 0 || failures === 0 : failures > 0;
for (const [name, fix] of missing) console.log(`skipped ${name}: ${fix}`);
if (failed || (missing.size > 0 && process.env.CI !== undefined)) process.exitCode = 1;

function take(found: readonly CaseResult[] | Missing): void {
  if ("fix" in found) missing.set(found.name, found.fix);
  else results.push(...found);
}

/** The descriptors of the tests' messages, for peers without generated code. */
async function descriptors(): Promise<string> {
  const file = join(scratch, "testing.binpb");
  const repository = join(import.meta.dirname, "../..");
  const buf = join(repository, "node_modules/.bin/buf");
  await promisify(execFile)(buf, ["build", "test/proto", "--path", "test/proto/grpc", "-o", file], {
    cwd: repository,
  });
  return file;
}
