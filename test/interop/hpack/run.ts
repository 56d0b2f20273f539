import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";
import { HpackDecoder } from "../../../runtime/src/transport/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../../runtime/src/transport/http2/hpack/encoder.ts";
import { HeaderField } from "../../../runtime/src/transport/http2/hpack/header-field.ts";
import { seededRandom } from "../../support/seeded-random.ts";

/**
 * `npm run interop -- hpack`: header blocks exchanged with the HPACK of golang.org/x/net, in both
 * directions, on one connection each, so that the dynamic tables have a history. Sizes of the table
 * change on the way. With `--plant`, one field is changed on the way, which must be found.
 */

const { values } = parseArgs({
  options: {
    plant: { type: "boolean", default: false },
    count: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
  },
});
const count = Number(values.count);
const random = seededRandom(Number(values.seed));

const names = ["user-agent", "grpc-timeout", "authorization", "x-a", "x-b", "content-type", "te"];
const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

/** Characters with short and with long codes. */
const characters = `${letters}ABCXYZ !"#$%&'()*+,/:;<=>?@[]^{|}~`;

type Fields = (readonly [name: string, value: string])[];

interface Response {
  readonly Fields: Fields | null;
  readonly Block: string;
  readonly Error: string;
}

const scratch = await mkdtemp(join(tmpdir(), "micro-es-hpack-"));
try {
  const program = join(scratch, "hpack");
  if (await built(program)) await exchange(program);
  else {
    console.error("HPACK SKIPPED: there is no Go to build golang.org/x/net with");
    process.exitCode = process.env.CI === "true" ? 1 : 0;
  }
} finally {
  await rm(scratch, { recursive: true });
}

async function built(program: string): Promise<boolean> {
  try {
    await promisify(execFile)("go", ["build", "-buildvcs=false", "-o", program, "."], {
      cwd: import.meta.dirname,
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return false;
  }
}

async function exchange(program: string): Promise<void> {
  const peer = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
  const ask = async (request: object): Promise<Response> => {
    peer.stdin.write(`${JSON.stringify({ TableBytes: -1, ...request })}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error("the program in Go has ended");
    return JSON.parse(line.value) as Response;
  };
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder({
    maxTableBytes: 4096,
    maxListBytes: 1 << 20,
    maxFields: 1_000,
  });
  let differences = 0;
  for (let index = 0; index < count; index++) {
    const sent = fields();
    if (random() < 0.02) encoder.allowTableBytes(tableBytes());
    const length = encoder.encode(
      undefined,
      sent.map(([name, value]) => new HeaderField(name, value)),
    );
    const block = Buffer.from(encoder.bytes.subarray(0, length)).toString("hex");
    const read = await ask({ Decode: block });
    if (values.plant && index === count >> 1) sent[0] = ["planted", "field"];
    if (read.Error !== "" || !same(sent, read.Fields ?? [])) {
      differences++;
      if (!values.plant)
        console.error(`Go reads ${block} as ${JSON.stringify(read)}, sent ${JSON.stringify(sent)}`);
    }

    const resized = random() < 0.02 ? { TableBytes: tableBytes() } : {};
    const asked = fields();
    const { Block: received } = await ask({ Encode: asked, ...resized });
    const bytes = Buffer.from(received, "hex");
    const found = decoder.decode(bytes, 0, bytes.length).fields;
    if (
      !same(
        asked,
        found.map(({ name, value }) => [name, value] as const),
      )
    ) {
      differences++;
      console.error(
        `${received} was read as ${JSON.stringify(found)}, sent ${JSON.stringify(asked)}`,
      );
    }
  }
  peer.stdin.end();
  await once(peer, "exit");
  if (values.plant) {
    if (differences !== 1) process.exitCode = 1;
    console.log(`${differences === 1 ? "found " : "MISSED"} a field that is changed on the way`);
    return;
  }
  if (differences > 0) process.exitCode = 1;
  const verdict = differences === 0 ? "ok    " : "FAILED";
  console.log(
    `${verdict} ${count} header lists to golang.org/x/net and ${count} from it, ${differences} read differently`,
  );
}

/** A size of the table, up to what this side has announced. */
function tableBytes(): number {
  return [0, 64, 300, 4096][Math.floor(random() * 4)]!;
}

function fields(): Fields {
  return Array.from({ length: 1 + Math.floor(random() * 12) }, (): readonly [string, string] => [
    name(),
    value(),
  ]);
}

function name(): string {
  if (random() < 0.8) return pick(names);
  return `x-${text(letters, 1 + Math.floor(random() * 20))}`;
}

function value(): string {
  if (random() < 0.5) return pick(["", "1", "gzip, deflate", "application/grpc", "v".repeat(300)]);
  return text(characters, Math.floor(random() * 120)).trim();
}

function text(from: string, length: number): string {
  let made = "";
  for (let at = 0; at < length; at++) made += from[Math.floor(random() * from.length)];
  return made;
}

function pick<T>(of: readonly T[]): T {
  return of[Math.floor(random() * of.length)]!;
}

function same(one: Fields, other: Fields): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
