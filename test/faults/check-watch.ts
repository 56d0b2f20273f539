/** An event received by a watcher; `revision` identifies the change of an item. */
export type WatchEvent =
  | { readonly type: "snapshot"; readonly items: ReadonlyMap<string, number> }
  | {
      readonly type: "added" | "updated" | "removed";
      readonly id: string;
      readonly revision: number;
    };

export interface WatchFigures {
  readonly events: number;
  readonly snapshots: number;
  /** Events that contradict earlier ones, such as an update of an item that is not there. */
  readonly inconsistent: number;
  /** Items that were seen at an earlier change after a later one. */
  readonly backwards: number;
  /** Items that were reported and never written. */
  readonly invented: number;
  /** Items whose folded state differs from the actual one at the end. */
  readonly different: number;
}

/**
 * Folds the events of a watcher, and compares the result with the truth.
 * @param written all changes that were ever made, by item; `truth` the state at the end.
 */
export function checkWatch(
  events: readonly WatchEvent[],
  written: ReadonlyMap<string, ReadonlySet<number>>,
  truth: ReadonlyMap<string, number>,
): WatchFigures {
  let folded = new Map<string, number>();
  const newest = new Map<string, number>();
  let [snapshots, inconsistent, backwards, invented] = [0, 0, 0, 0];
  const saw = (id: string, revision: number) => {
    if (written.get(id)?.has(revision) !== true) invented++;
    if (revision < (newest.get(id) ?? revision)) backwards++;
    newest.set(id, Math.max(revision, newest.get(id) ?? revision));
  };
  for (const [index, event] of events.entries()) {
    if (event.type === "snapshot") {
      snapshots++;
      folded = new Map(event.items);
      for (const [id, revision] of folded) saw(id, revision);
      continue;
    }
    const { type, id, revision } = event;
    if (index === 0 || folded.has(id) !== (type !== "added")) inconsistent++;
    if (type === "removed") folded.delete(id);
    else {
      folded.set(id, revision);
      saw(id, revision);
    }
  }
  const ids = new Set([...folded.keys(), ...truth.keys()]);
  const different = [...ids].filter((id) => folded.get(id) !== truth.get(id)).length;
  return { events: events.length, snapshots, inconsistent, backwards, invented, different };
}
