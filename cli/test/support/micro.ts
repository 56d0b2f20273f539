import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The built program; `npm test -- cli` builds it first. */
const program = [process.execPath, fileURLToPath(new URL("../../bin/micro.js", import.meta.url))];

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface MicroOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input; empty by default. */
  readonly stdin?: string;
}

export interface TerminalOptions extends MicroOptions {
  /** Presses Ctrl-C when this was shown. */
  readonly interruptAt?: RegExp;
  /** Leaves the line about progress in the output. */
  readonly keepProgress?: boolean;
}

/** Starts `micro` with standard output and standard error as pipes. */
export function startMicro(words: readonly string[], options: MicroOptions = {}): ChildProcess {
  const [node = "", ...args] = program;
  const child = spawn(node, [...args, ...words], {
    env: { ...process.env, NO_COLOR: "", FORCE_COLOR: "", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  return child;
}

/** Runs `micro` to its end, piped. */
export async function micro(words: readonly string[], options: MicroOptions = {}): Promise<Ended> {
  const child = startMicro(words, options);
  child.stdin?.end(options.stdin ?? "");
  return ended(child);
}

/** Runs `micro` to its end in a pseudo-terminal, where both outputs are one. */
export async function microInTerminal(
  words: readonly string[],
  options: TerminalOptions = {},
): Promise<Ended> {
  const child = startMicroInTerminal(words, options);
  if (options.stdin !== undefined) child.stdin?.write(options.stdin);
  const { interruptAt } = options;
  let shown = "";
  child.stdout?.on("data", (data: Buffer) => {
    if (interruptAt === undefined || interruptAt.test(shown)) return;
    shown += data;
    if (interruptAt.test(shown)) child.stdin?.write("\u0003");
  });
  const { stdout, ...rest } = await ended(child);
  return { ...rest, stdout: options.keepProgress === true ? stdout : withoutProgress(stdout) };
}

/** The text without the progress line, which appears only when the machine is busy. */
function withoutProgress(text: string): string {
  const erase = "\r\u001b[2K";
  return text
    .split(erase)
    .filter((part) => !/^[^\n]*… \d+ s$/.test(part))
    .join("");
}

/** Starts `micro` in a pseudo-terminal; its standard input is typed there. */
export function startMicroInTerminal(
  words: readonly string[],
  options: MicroOptions = {},
): ChildProcess {
  const line = [...program, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return spawn("script", ["-qefc", line, "/dev/null"], {
    env: { ...process.env, NO_COLOR: "", FORCE_COLOR: "", TERM: "xterm", ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

async function ended(child: ChildProcess): Promise<Ended> {
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout === null ? "" : text(child.stdout),
    child.stderr === null ? "" : text(child.stderr),
    exited,
  ]);
  return { code, stdout, stderr };
}
