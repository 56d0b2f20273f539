/** An event at a point of virtual time; events of the same time keep their order. */
export interface TimedEvent {
  readonly at: number;
  readonly order: number;
  run(): void;
}

/** The events to come, the earliest first. */
export class EventHeap {
  readonly #events: TimedEvent[] = [];
  #order = 0;

  get first(): TimedEvent | undefined {
    return this.#events[0];
  }

  push(at: number, run: () => void): void {
    const events = this.#events;
    const event: TimedEvent = { at, order: this.#order++, run };
    let place = events.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (isBefore(events[parent]!, event)) break;
      events[place] = events[parent]!;
      place = parent;
    }
    events[place] = event;
  }

  pop(): TimedEvent | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child++;
      if (isBefore(last, events[child]!)) break;
      events[place] = events[child]!;
      place = child;
    }
    events[place] = last;
    return first;
  }
}

function isBefore(one: TimedEvent, other: TimedEvent): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
