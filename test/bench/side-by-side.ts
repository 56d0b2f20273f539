/** What a number of events took in one round. */
export interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
}

/** The way of one side to move a number of events. */
export type Move = (count: number) => Promise<Round>;

/** Publications without a response. */
export const underWay = 128;
/** The least share of the events a second that the library reaches alone. */
export const goal = 0.8;

/** Publishes with {@link underWay} publications at a time. */
export async function inWindows(count: number, publish: () => Promise<unknown>): Promise<void> {
  for (let sent = 0; sent < count; sent += underWay) {
    const size = Math.min(underWay, count - sent);
    await Promise.all(Array.from({ length: size }, publish));
  }
}

export async function measure(
  move: (count: number) => Promise<void>,
  count: number,
): Promise<Round> {
  const before = process.cpuUsage();
  const began = performance.now();
  await move(count);
  const elapsedMs = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: (count / elapsedMs) * 1_000, cpuUs: (user + system) / count };
}

/**
 * Rounds of both in turn, so that noise affects both alike.
 * @returns whether the goal is reached.
 */
export async function compare(
  what: string,
  library: string,
  sides: { readonly alone: Move; readonly ours: Move },
  count: number,
  rounds: number,
): Promise<boolean> {
  const found: { readonly alone: Round[]; readonly ours: Round[] } = { alone: [], ours: [] };
  for (let round = 0; round < rounds; round++) {
    found.alone.push(await sides.alone(count));
    found.ours.push(await sides.ours(count));
  }
  const share = median(found.ours, "perSecond") / median(found.alone, "perSecond");
  const side = (name: string, all: readonly Round[]) =>
    `${name} ${Math.round(median(all, "perSecond"))} a second, ${median(all, "cpuUs").toFixed(1)} µs CPU`;
  const verdict = share >= goal ? "reached" : "MISSED ";
  console.log(
    `${verdict}  ${what}, of ${library}: ${share.toFixed(2)} (at least ${goal}); ${side(library, found.alone)}; ${side("micro-es", found.ours)}`,
  );
  return share >= goal;
}

function median(all: readonly Round[], figure: keyof Round): number {
  const sorted = all.map((round) => round[figure]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
