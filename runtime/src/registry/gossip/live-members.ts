import type { Member } from "./member-entry.ts";

/** The other members that are not known to be dead, in the order in which they are probed. */
export class LiveMembers {
  readonly #selfHash: number;
  readonly #random: () => number;
  readonly #members: Member[] = [];
  #next = 0;
  /** The member after this one in the circle of all hashes; undefined if it has to be looked up. */
  #neighbour: Member | undefined;
  #isNeighboursTurn: boolean;

  /** @param selfHash that of this member. */
  constructor(selfHash: number, random: () => number) {
    this.#selfHash = selfHash;
    this.#random = random;
    this.#isNeighboursTurn = random() < 0.5;
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
    const neighbour = this.#neighbour;
    if (neighbour !== undefined && this.#distanceTo(member) < this.#distanceTo(neighbour)) {
      this.#neighbour = member;
    }
  }

  delete(member: Member): void {
    if (this.#members[member.index] !== member) return;
    this.#swap(member.index, this.#members.length - 1);
    this.#members.pop();
    member.index = -1;
    if (this.#neighbour === member) this.#neighbour = undefined;
  }

  /**
   * The next member to probe. Every second time it is the neighbour, so that each member is probed
   * once in two periods by one of the others, and its death is not left to chance. In between, each
   * is probed once in a round, in an order that changes.
   * @param failed whether the last probe did. The round then goes on, because others may be silent
   * as well, for example after a partition.
   */
  next(failed: boolean): Member | undefined {
    this.#isNeighboursTurn = !this.#isNeighboursTurn && !failed;
    return this.#isNeighboursTurn ? this.#nextNeighbour() : this.#nextInTurn();
  }

  #nextInTurn(): Member | undefined {
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

  /** Suspects are passed over, so that several neighbours in a row that die are noticed too. */
  #nextNeighbour(): Member | undefined {
    if (this.#neighbour?.state === "alive") return this.#neighbour;
    let nearest: Member | undefined;
    let neighbour: Member | undefined;
    for (const member of this.#members) {
      const distance = this.#distanceTo(member);
      if (nearest === undefined || distance < this.#distanceTo(nearest)) nearest = member;
      if (member.state !== "alive") continue;
      if (neighbour === undefined || distance < this.#distanceTo(neighbour)) neighbour = member;
    }
    this.#neighbour = nearest;
    return neighbour ?? nearest;
  }

  #distanceTo({ hash }: Member): number {
    return (hash - this.#selfHash) >>> 0;
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
