import { buffer } from "node:stream/consumers";
import { setFlagsFromString } from "node:v8";
import { runNodeJs } from "@bufbuild/protoplugin";
import { protocGenMicro, respond } from "./plugin.ts";

// Node 20 optimizes functions after a few dozen runs, which takes longer than it saves in a process
// that lives for a second. Later versions wait longer and do not know the flag.
if (process.versions.v8.startsWith("11.")) setFlagsFromString("--interrupt-budget=400000");

// protoc passes no arguments. A user who passes some sees the version or the usage.
if (process.argv.length > 2) runNodeJs(protocGenMicro);
else {
  try {
    process.stdout.write(respond(await buffer(process.stdin)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${protocGenMicro.name}: ${reason}\n`);
    process.exitCode = 1;
  }
}
