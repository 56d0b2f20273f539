import { asMicroError, MicroError, messageOf } from "./error.ts";

/** A failure to end something, by its name. */
export interface EndFailure {
  readonly name: string;
  readonly reason: unknown;
}

/**
 * Ends all of them concurrently. One that throws, synchronously or later and whatever it throws,
 * does not keep the others from ending.
 * @param nameOf a name for the log.
 * @returns the failures.
 */
export async function settleAll<T>(
  all: Iterable<T>,
  end: (one: T) => unknown,
  nameOf: (one: T) => string = partName,
): Promise<readonly EndFailure[]> {
  const ones = [...all];
  // An async function turns a synchronous throw into a rejection.
  const results = await Promise.allSettled(ones.map(async (one) => end(one)));
  return results.flatMap((result, index) =>
    result.status === "rejected"
      ? [{ name: nameOf(ones[index] as T), reason: result.reason as unknown }]
      : [],
  );
}

/**
 * Runs every step in order, including those after one that fails.
 * @throws what the only failed step threw, or a MicroError that names all failures.
 */
export async function closeInOrder(...steps: readonly (() => unknown)[]): Promise<void> {
  const reasons: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (reason) {
      reasons.push(reason);
    }
  }
  if (reasons.length === 0) return;
  const [first] = reasons;
  if (reasons.length === 1) throw asMicroError(first, "internal");
  throw new MicroError(
    "internal",
    `${reasons.length} parts did not close: ${reasons.map(messageOf).join("; ")}`,
    { cause: first },
  );
}

/**
 * Closes a part, and waits at most `ms` for it.
 * @throws what the part throws, or MicroError `deadline_exceeded`.
 */
export async function closeWithin(ms: number, part: { close(): unknown }): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = () => new MicroError("deadline_exceeded", `it did not close within ${ms} ms`);
    timer = setTimeout(() => reject(error()), ms);
  });
  try {
    await Promise.race([(async () => part.close())(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The name of a part for messages: its own, otherwise that of its class. */
export function partName(part: unknown): string {
  try {
    const { name, constructor: maker } = part as Readonly<Record<"name" | "constructor", unknown>>;
    if (typeof name === "string" && name !== "") return name;
    const made = typeof maker === "function" ? maker.name : "";
    return made === "" || made === "Object" ? "a part without a name" : made;
  } catch {
    return "a part that cannot be read";
  }
}
