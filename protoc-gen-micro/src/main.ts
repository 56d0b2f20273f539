import { buffer } from "node:stream/consumers";
import { runNodeJs } from "@bufbuild/protoplugin";
import { answer, protocGenMicro } from "./plugin.ts";

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
