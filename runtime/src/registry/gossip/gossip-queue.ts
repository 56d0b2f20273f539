/**
 * News about members, by how often it was already sent. News that was sent least
 * goes first; a later update about a member replaces the earlier one, because the content is taken
 * from the table of members when it is sent.
 */
export class GossipQueue {
  /** For each number of transmissions, the ids in the order of their arrival. */
  readonly #tiers: Set<string>[] = [];
  readonly #tierOf = new Map<string, number>();

  get size(): number {
    return this.#tierOf.size;
  }

  /** Adds news, as never sent. */
  add(id: string): void {
    this.delete(id);
    this.#put(id, 0);
  }

  delete(id: string): void {
    const tier = this.#tierOf.get(id);
    if (tier === undefined) return;
    this.#tiers[tier]?.delete(id);
    this.#tierOf.delete(id);
  }

  /**
   * Passes ids to `write` until it returns false for lack of room. News that was sent `limit` times
   * is dropped.
   */
  take(limit: number, write: (id: string) => boolean): void {
    const taken: [string, number][] = [];
    outer: for (const [tier, ids] of this.#tiers.entries()) {
      for (const id of ids) {
        if (!write(id)) break outer;
        taken.push([id, tier]);
      }
    }
    for (const [id, tier] of taken) {
      this.delete(id);
      if (tier + 1 < limit) this.#put(id, tier + 1);
    }
  }

  #put(id: string, tier: number): void {
    while (this.#tiers.length <= tier) this.#tiers.push(new Set());
    this.#tiers[tier]?.add(id);
    this.#tierOf.set(id, tier);
  }
}
