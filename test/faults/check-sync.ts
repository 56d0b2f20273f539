/** Acknowledgements in relation to a server's system calls. */
export interface SyncFigures {
  readonly acks: number;
  /** Acknowledgements sent before a sync that began after the event was written had ended. */
  readonly unsynced: number;
}

/**
 * Reads a trace of `strace -f -e trace=write,pwrite64,writev,fsync,fdatasync` of a server that
 * stores events whose bodies are `<<1>>`, `<<2>>` and so on.
 * @param ackedEvent the number of the event that the text of a write to a client acknowledges.
 */
export function checkSyncedAcks(
  trace: string,
  ackedEvent: (text: string) => number | undefined,
): SyncFigures {
  /** Written, and not yet covered by a sync that has begun. */
  let dirty = new Set<number>();
  /** The events covered by the sync in progress, by thread. */
  const syncing = new Map<string, ReadonlySet<number>>();
  const synced = new Set<number>();
  let acks = 0;
  let unsynced = 0;
  for (const line of trace.split("\n")) {
    const [, thread = "", call = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (/^f(?:data)?sync\(/.test(call)) {
      syncing.set(thread, dirty);
      dirty = new Set();
    }
    if (/f(?:data)?sync(?:\(| resumed>).*= 0$/.test(call)) {
      for (const event of syncing.get(thread) ?? []) synced.add(event);
    }
    if (!/^p?writev?(?:64)?\(/.test(call)) continue;
    const acked = ackedEvent(call);
    if (acked !== undefined) {
      acks++;
      if (!synced.has(acked)) unsynced++;
      continue;
    }
    for (const [, event] of call.matchAll(/<<(\d+)>>/g)) dirty.add(Number(event));
  }
  return { acks, unsynced };
}
