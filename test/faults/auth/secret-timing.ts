import { createHash, randomBytes } from "node:crypto";
import { asMicroError, memoryStore, silentLogger } from "@micro-es/runtime";
import { AdvancingClock } from "../../../runtime/src/auth/advancing-clock.ts";
import { StoreAuth } from "../../../runtime/src/auth/local/local-auth.ts";
import { type SecretHash, SecretHasher } from "../../../runtime/src/auth/local/secret-hasher.ts";
import type { Figure, Length } from "../figure.ts";

/** Little, so that what else differs is not lost in the time of the hash. */
const cost = { N: 64, r: 8, p: 1 };
const timings: Readonly<Record<Length, number>> = { short: 3_000, long: 10_000 };
/**
 * How far the probability that a guess of one kind takes longer than one of another may be from a
 * half. By chance it is 0.0075 in the short form, and 0.004 in the long one.
 */
const mostBias = 0.04;
/** The most that the medians may differ, as a share of a hash at the default cost. */
const mostShare = 0.01;

const kinds = ["first", "last", "length", "short", "unknown"] as const;
type Kind = (typeof kinds)[number];

/**
 * Guesses of secrets take as long whether their first or last character is wrong, all of them are,
 * or the length is; and for accounts that do not exist.
 */
export async function secretsTimed(length: Length): Promise<Figure> {
  return judge("AU9", length, new SecretHasher(cost));
}

/** A comparison that ends with the first character that differs must be noticed. */
export async function secretsComparedEarly(length: Length): Promise<Figure> {
  const figure = await judge("AU9-planted", length, new EarlyHasher(cost), 1_000);
  return { ...figure, bound: "not that", holds: !figure.holds };
}

/** Compares the characters one by one, each by a hash, and ends with the first that differs. */
class EarlyHasher extends SecretHasher {
  override async verify(secret: string, stored: SecretHash | undefined): Promise<boolean> {
    const isRight = await super.verify(secret, stored);
    for (const [index, character] of [...theSecret].entries()) {
      const pair = [character, secret[index] ?? ""].map((it) => digest(it));
      if (pair[0] !== pair[1]) return false;
    }
    return isRight;
  }
}

const digest = (text: string): string => createHash("sha256").update(text).digest("base64");
/** The secret of all accounts. */
const theSecret = randomBytes(32).toString("base64url");
const other = (character: string | undefined): string => (character === "A" ? "B" : "A");

const guesses: Readonly<Record<Kind, string>> = {
  first: other(theSecret[0]) + theSecret.slice(1),
  last: theSecret.slice(0, -1) + other(theSecret.at(-1)),
  length: randomBytes(32).toString("base64url"),
  short: theSecret.slice(0, 20),
  unknown: theSecret,
};

async function judge(
  id: string,
  length: Length,
  hasher: SecretHasher,
  count = timings[length],
): Promise<Figure> {
  const times = await take(count, hasher);
  const { first, last, short, unknown } = times;
  const biases = { last: bias(first, last), length: bias(first, times.length) };
  const all = { ...biases, short: bias(first, short) };
  const hashMs = await hashTime();
  const differs = Math.abs(median(first) - median(unknown));
  const said = Object.entries(all).map(([kind, it]) => `${kind} ${it.toFixed(3)}`);
  return {
    id,
    recipe: `${count} wrong secrets of each kind, interleaved: the first or last character, all of them, the length; an account that does not exist`,
    found: `slower than one whose first character is wrong, in excess of a half: ${said.join(", ")}; without an account ${(differs * 1_000).toFixed(1)} µs apart, ${((100 * differs) / hashMs).toFixed(3)} % of a hash`,
    bound: `within ${mostBias}; at most ${100 * mostShare} %`,
    holds:
      Object.values(all).every((it) => Math.abs(it) <= mostBias) && differs <= mostShare * hashMs,
  };
}

/** The times of all guesses, in milliseconds. Each account is guessed once by each kind. */
async function take(count: number, hasher: SecretHasher): Promise<Record<Kind, number[]>> {
  await using store = memoryStore();
  const options = { store, issuer: "acme", logger: silentLogger };
  await using auth = new StoreAuth(options, new AdvancingClock(), hasher);
  const times: Record<Kind, number[]> = { first: [], last: [], length: [], short: [], unknown: [] };
  for (let index = 0; index < count; index++) {
    await auth.generate(`known-${index}`, { secret: theSecret });
  }
  const rounds = Array.from({ length: count }, (_, index) => index);
  // The kinds take turns in each place, so that none is always after the same one.
  for (const index of rounds) {
    for (const place of kinds.keys()) {
      const kind = kinds[(place * (1 + (index % 4)) + index) % kinds.length] ?? "first";
      const account = kind === "unknown" ? `other-${index}` : `known-${index}`;
      const secret = guesses[kind];
      const start = performance.now();
      const refused = await auth
        .token({ grant: "secret", id: account, secret })
        .catch(asMicroError);
      times[kind].push(performance.now() - start);
      if (!("code" in refused) || refused.code !== "unauthenticated") {
        throw new Error(`the guess ${kind} was not refused as one`);
      }
    }
  }
  return times;
}

async function hashTime(): Promise<number> {
  const hasher = new SecretHasher();
  const times: number[] = [];
  for (let count = 0; count < 7; count++) {
    const start = performance.now();
    await hasher.hash(theSecret);
    times.push(performance.now() - start);
  }
  return median(times);
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1] ?? 0;
}

/** The probability that one of `b` is greater than one of `a` (Mann and Whitney), less a half. */
function bias(a: readonly number[], b: readonly number[]): number {
  const sorted = [...a.map((time) => ({ time, ofB: 0 })), ...b.map((time) => ({ time, ofB: 1 }))];
  sorted.sort((one, two) => one.time - two.time);
  let rank = 0;
  let seen = 0;
  while (seen < sorted.length) {
    let end = seen;
    while (end < sorted.length && sorted[end]?.time === sorted[seen]?.time) end++;
    // Equal times share the mean of their ranks.
    const share = (seen + 1 + end) / 2;
    for (const { ofB } of sorted.slice(seen, end)) rank += ofB * share;
    seen = end;
  }
  const wins = rank - (b.length * (b.length + 1)) / 2;
  return wins / (a.length * b.length) - 0.5;
}
