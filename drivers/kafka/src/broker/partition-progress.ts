/** A record that was taken, and how far it has come. */
interface Taken {
  readonly offset: number;
  /** How often its handling began. */
  attempts: number;
  isDone: boolean;
}

/** A record after the committed offset, as an earlier member left it. */
interface Past {
  readonly attempts: number;
  readonly isDone: boolean;
}

const version = "1";
const done = "-";
/** Brokers take 4,096 bytes by default. */
const maxText = 4_000;
/** Records of the past that are believed; a group has at most so many under way. */
const maxPast = 100_000;

/**
 * How far a group has come in a partition. Everything before {@link next} is done. Of what follows,
 * some may be done and some begun, which a short text tells the next member: `1:` and, for runs of
 * offsets from `next`, `-` if they are done or else how often their handling began in base 36, each
 * with `*` and its length unless that is 1.
 */
export class PartitionProgress {
  readonly partition: number;
  readonly #taken: Taken[] = [];
  /** The index of the first of `taken` that counts. */
  #head = 0;
  readonly #past = new Map<number, Past>();
  /** The offset after the last one that was taken. */
  #position: number;

  /** @param text as {@link text} made it; anything else means nothing. */
  constructor(partition: number, next: number, text: string) {
    this.partition = partition;
    this.#position = next;
    for (const [index, past] of decode(text).entries()) this.#past.set(next + index, past);
  }

  /** The first offset that is not done. */
  get next(): number {
    return this.#taken[this.#head]?.offset ?? this.#position;
  }

  /** Takes a record; undefined for one that is done. */
  take(offset: number): Taken | undefined {
    const past = this.#past.get(offset);
    for (const each of this.#past.keys()) {
      if (each > offset) break;
      this.#past.delete(each);
    }
    const taken = { offset, attempts: past?.attempts ?? 0, isDone: past?.isDone ?? false };
    this.#taken.push(taken);
    this.#position = offset + 1;
    if (!taken.isDone) return taken;
    this.#advance();
    return undefined;
  }

  done(taken: Taken): void {
    taken.isDone = true;
    this.#advance();
  }

  /** Describes the records after {@link next} for the next member. */
  text(): string {
    const runs: { readonly token: string; length: number }[] = [];
    let [offset, sure, size] = [this.next, 0, version.length + 1];
    const add = (token: string, length: number) => {
      const last = runs.at(-1);
      if (last?.token === token) last.length += length;
      else if (length > 0) runs.push({ token, length });
    };
    const append = (at: number, { attempts, isDone }: Past) => {
      // Offsets without a record are as good as done.
      add(done, at - offset);
      add(isDone ? done : attempts.toString(36), 1);
      offset = at + 1;
      if (isDone || attempts > 0) sure = runs.length;
    };
    for (let index = this.#head; index < this.#taken.length; index++) {
      const taken = this.#taken[index] as Taken;
      append(taken.offset, taken);
    }
    for (const [at, past] of this.#past) append(at, past);
    const tokens: string[] = [];
    for (const { token, length } of runs.slice(0, sure)) {
      const text = length === 1 ? token : `${token}*${length}`;
      size += text.length + 1;
      if (size > maxText) break;
      tokens.push(text);
    }
    return tokens.length === 0 ? "" : `${version}:${tokens.join(",")}`;
  }

  #advance(): void {
    while (this.#taken[this.#head]?.isDone === true) this.#head++;
    if (this.#head > 1_000 || this.#head === this.#taken.length) {
      this.#taken.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

export type { Taken };

function decode(text: string): readonly Past[] {
  if (!text.startsWith(`${version}:`)) return [];
  const past: Past[] = [];
  for (const run of text.slice(version.length + 1).split(",")) {
    const [, token = "", digits = "1"] = /^(-|[\da-z]{1,4})(?:\*(\d{1,6}))?$/.exec(run) ?? [];
    const length = Number(digits);
    if (token === "" || past.length + length > maxPast) return [];
    const isDone = token === done;
    const attempts = isDone ? 0 : Number.parseInt(token, 36);
    for (let count = 0; count < length; count++) past.push({ attempts, isDone });
  }
  return past;
}
