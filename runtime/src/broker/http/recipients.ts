import type { Directory } from "./directory.ts";
import type { HttpSubscriptions } from "./local-subscriptions.ts";
import type { Target } from "./subscriber-node.ts";

/** A subscriber to send to; one of this broker's own has no address. */
export interface Candidate {
  readonly id: string;
  readonly queue: string | undefined;
  readonly target: Target | undefined;
}

/** The subscribers to a topic. */
export interface Recipients {
  /** Those outside any group. */
  readonly everybody: readonly Candidate[];
  readonly groups: readonly (readonly Candidate[])[];
}

/** Topics whose subscribers are kept; all are forgotten beyond it. */
const maxTopics = 1_024;

/** Finds the subscribers to topics, and keeps what it found until the subscriptions change. */
export class RecipientTable {
  readonly #directory: Directory;
  readonly #own: HttpSubscriptions;
  readonly #topics = new Map<string, Recipients>();
  #directoryVersion = -1;
  #ownVersion = -1;

  constructor(directory: Directory, own: HttpSubscriptions) {
    this.#directory = directory;
    this.#own = own;
  }

  of(topic: string): Recipients {
    const { version } = this.#directory;
    if (version !== this.#directoryVersion || this.#own.version !== this.#ownVersion) {
      this.#directoryVersion = version;
      this.#ownVersion = this.#own.version;
      this.#topics.clear();
    }
    let found = this.#topics.get(topic);
    if (found === undefined) {
      if (this.#topics.size >= maxTopics) this.#topics.clear();
      found = this.#find(topic);
      this.#topics.set(topic, found);
    }
    return found;
  }

  /** The directory's subscribers and this broker's own, which may not be in the directory yet. */
  #find(topic: string): Recipients {
    const everybody: Candidate[] = [];
    const groups = new Map<string, Candidate[]>();
    const add = (candidate: Candidate) => {
      if (candidate.queue === undefined) {
        everybody.push(candidate);
        return;
      }
      const members = groups.get(candidate.queue);
      if (members === undefined) groups.set(candidate.queue, [candidate]);
      else members.push(candidate);
    };
    for (const { id, queue } of this.#own.of(topic)) add({ id, queue, target: undefined });
    for (const target of this.#directory.of(topic)) {
      if (!this.#own.has(target.id)) add({ id: target.id, queue: target.queue, target });
    }
    return { everybody, groups: [...groups.values()] };
  }
}
