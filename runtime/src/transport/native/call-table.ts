/** The initial capacity; most connections never have more calls open. */
const firstCapacity = 16;
/** The largest capacity; calls beyond it are kept in a map. */
const largestCapacity = 16_384;

/**
 * The open calls of a connection, by call number. Numbers are mostly assigned in sequence, so their
 * low bits index a call in an array. A call whose slot is taken is kept in a map, so that any
 * numbers work.
 */
export class CallTable<Call extends { readonly id: number }> {
  size = 0;
  #places: (Call | undefined)[] = places(firstCapacity);
  #mask: number = firstCapacity - 1;
  #others: Map<number, Call> | undefined;

  get(id: number): Call | undefined {
    const call = this.#places[id & this.#mask];
    if (call !== undefined && call.id === id) return call;
    return this.#others?.get(id);
  }

  /** Adds a call whose number is free. */
  add(call: Call): void {
    this.size++;
    if (this.#place(call)) return;
    if (this.size * 2 > this.#places.length && this.#places.length < largestCapacity) {
      this.#grow();
      if (this.#place(call)) return;
    }
    this.#others ??= new Map();
    this.#others.set(call.id, call);
  }

  /** Returns false if the call is not in the table. */
  delete(call: Call): boolean {
    const place = call.id & this.#mask;
    if (this.#places[place] === call) this.#places[place] = undefined;
    else if (this.#others?.get(call.id) === call) this.#others.delete(call.id);
    else return false;
    this.size--;
    return true;
  }

  /** Returns a copy of all calls, in no particular order. */
  values(): Call[] {
    const calls: Call[] = [];
    if (this.size === 0) return calls;
    for (const call of this.#places) if (call !== undefined) calls.push(call);
    if (this.#others !== undefined) calls.push(...this.#others.values());
    return calls;
  }

  #place(call: Call): boolean {
    const place = call.id & this.#mask;
    if (this.#places[place] !== undefined) return false;
    this.#places[place] = call;
    return true;
  }

  #grow(): void {
    const calls = this.values();
    const capacity = this.#places.length * 2;
    this.#places = places(capacity);
    this.#mask = capacity - 1;
    this.#others = undefined;
    for (const call of calls) {
      if (this.#place(call)) continue;
      this.#others ??= new Map();
      this.#others.set(call.id, call);
    }
  }
}

function places<Call>(capacity: number): (Call | undefined)[] {
  return new Array<Call | undefined>(capacity).fill(undefined);
}
