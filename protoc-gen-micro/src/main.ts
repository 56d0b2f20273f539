import { buffer } from "node:stream/consumers";
import { setFlagsFromString } from "node:v8";
import { runNodeJs } from "@bufbuild/protoplugin";
import { answer, protocGenMicro } from "./plugin.ts";

// Node 20 compiles for speed what has run some dozen times, which for a process of a second takes longer than it saves.
// Later versions wait by themselves, and do not know the flag.
if (process.versions.v8.startsWith("11.")) setFlagsFromString("--interrupt-budget=400000");

// Whoever starts it by hand is told its version, or what it expects.
if (process.argv.length > 2) runNodeJs(protocGenMicro);
else {
  try {
    process.stdout.write(answer(await buffer(process.stdin)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${protocGenMicro.name}: ${reason}\n`);
    process.exitCode = 1;
  }
}
