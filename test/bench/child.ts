import type { BenchCaller, BenchServer, Contender } from "./contender.ts";
import { measure, type SliceRequest } from "./slice.ts";

/** One side of one contender, in a separate process, driven by messages from the parent. */
const [file = "", side = "", address = ""] = process.argv.slice(2);
const { contender } = (await import(file)) as { contender: Contender };

type Question =
  | { readonly ask: "usage" }
  | { readonly ask: "slice"; readonly slice: SliceRequest }
  | { readonly ask: "close" };

let server: BenchServer | undefined;
let caller: BenchCaller | undefined;
if (side === "server") server = await contender.serve();
else caller = await contender.connect(address);

process.on("message", async (question: Question) => {
  try {
    process.send?.({ answer: await answer(question) });
  } catch (error) {
    process.send?.({
      failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
});
process.send?.({ answer: server?.address ?? "" });

async function answer(question: Question): Promise<unknown> {
  switch (question.ask) {
    case "usage":
      return { cpuUs: cpuUs(), rssBytes: process.memoryUsage.rss() };
    case "slice":
      if (caller === undefined) throw new Error("only the calling side measures");
      return measure(caller, question.slice);
    case "close":
      await caller?.close();
      await server?.close();
      setImmediate(() => process.exit(0));
      return true;
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
