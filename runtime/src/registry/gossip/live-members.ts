import type { Member } from "./member-entry.ts";

/** The other members that are not known to be dead, in the order in which they are probed. */
export class LiveMembers {
  readonly #random: () => number;
  readonly #members: Member[] = [];
  #next = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get size(): number {
    return this.#members.length;
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members[Symbol.iterator]();
  }

  /** Adds a member at a random place, so that members do not all probe a new one together. */
  add(member: Member): void {
    member.index = this.#members.push(member) - 1;
    this.#swap(member.index, Math.floor(this.#random() * this.#members.length));
  }

  delete(member: Member): void {
    if (this.#members[member.index] !== member) return;
    this.#swap(member.index, this.#members.length - 1);
    this.#members.pop();
    member.index = -1;
  }

  /** The next member to probe: each is probed once in a round, in an order that changes. */
  next(): Member | undefined {
    if (this.#next >= this.#members.length) {
      this.#next = 0;
      for (let at = this.#members.length - 1; at > 0; at--) {
        this.#swap(at, Math.floor(this.#random() * (at + 1)));
      }
    }
    return this.#members[this.#next++];
  }

  /** Up to `count` different random members, of these and `others`, that `accept` accepts. */
  pick(
    count: number,
    accept: (member: Member) => boolean = () => true,
    others: readonly Member[] = [],
  ): readonly Member[] {
    const picked: Member[] = [];
    const total = this.#members.length + others.length;
    for (let tries = 0; tries < 3 * count + 3 && picked.length < Math.min(count, total); tries++) {
      const at = Math.floor(this.#random() * total);
      const member = this.#members[at] ?? others[at - this.#members.length];
      if (member !== undefined && !picked.includes(member) && accept(member)) picked.push(member);
    }
    return picked;
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#members[one], this.#members[other]];
    if (a === undefined || b === undefined) return;
    this.#members[one] = b;
    this.#members[other] = a;
    b.index = one;
    a.index = other;
  }
}
