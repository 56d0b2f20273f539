import {
  type DeleteOptions,
  type Fence,
  fenceOf,
  quoteKey,
  requireFence,
  requireVersion,
} from "@micro-es/runtime/driver";
import type { EtcdLink } from "../link/link.ts";
import { readTxn, txn } from "../link/methods.ts";
import {
  atRevision,
  type Operation,
  putOperation,
  rangeOperation,
  type TxnResponse,
} from "../link/txn.ts";
import { decodeFences, encodeFences, type Fences } from "./record.ts";

/** Where a record is, and how to judge it. */
export interface ChangePlace {
  readonly recordKey: Uint8Array;
  readonly fencesKey: Uint8Array;
  /** Whether a stored value has not expired. */
  readonly isLive: (value: Uint8Array) => boolean;
}

/** The result of a change. */
export interface Changed {
  readonly revision: bigint;
  /** The value that a deletion found. */
  readonly previous: Uint8Array | undefined;
}

/** A key as last read, on which a change is based. */
interface Known {
  readonly record: { readonly revision: bigint; readonly isLive: boolean };
  readonly fencesRevision: bigint;
  readonly fences: Fences;
}

/** A write or deletion of a record, with its conditions. Each attempt is one transaction. */
export class KeyChange {
  readonly what: string;
  readonly #link: EtcdLink;
  readonly #action: "write" | "delete";
  readonly #key: string;
  readonly #ifVersion: bigint | undefined;
  readonly #fence: Fence | undefined;
  readonly #place: ChangePlace;

  constructor(
    link: EtcdLink,
    action: "write" | "delete",
    key: string,
    options: DeleteOptions,
    place: ChangePlace,
  ) {
    this.what = `${action} store key ${quoteKey(key)}`;
    this.#link = link;
    this.#action = action;
    this.#key = key;
    this.#ifVersion = options.ifVersion;
    this.#fence = fenceOf(options);
    this.#place = place;
  }

  get recordKey(): Uint8Array {
    return this.#place.recordKey;
  }

  /**
   * Changes the record by an operation. It is attempted again only if the key was changed since it
   * was read, so never more often than others change it.
   * @throws MicroError `aborted`, or as {@link EtcdLink.call}.
   */
  async run(operation: Operation): Promise<Changed> {
    const { fencesKey, recordKey } = this.#place;
    let known = this.#needsRead ? await this.#read() : undefined;
    for (;;) {
      const { compare, raised } = this.#conditions(known);
      const success = [operation];
      if (raised !== undefined) success.push(putOperation(fencesKey, encodeFences(raised)));
      const failure = [rangeOperation(recordKey), rangeOperation(fencesKey)];
      const response = await this.#link.call(txn, { compare, success, failure }, this.what);
      if (response.succeeded) return changedBy(response);
      known = this.#knownFrom(response);
    }
  }

  /**
   * Whether a transaction cannot tell by itself: it does not compare tokens, and it does not know
   * whether the record of a version has expired.
   */
  get #needsRead(): boolean {
    return this.#fence !== undefined || (this.#ifVersion ?? 0n) !== 0n;
  }

  async #read(): Promise<Known> {
    const { recordKey, fencesKey } = this.#place;
    const success = [rangeOperation(recordKey), rangeOperation(fencesKey)];
    return this.#knownFrom(await this.#link.call(readTxn, { success }, this.what));
  }

  /**
   * What must not have changed since the key was read.
   * @returns also the tokens after this change, if it raises one.
   * @throws MicroError `aborted` if the conditions do not hold.
   */
  #conditions(known: Known | undefined) {
    const compare = [];
    if (this.#ifVersion !== undefined) {
      if (known !== undefined) {
        const version = known.record.isLive ? known.record.revision : 0n;
        requireVersion(this.#key, this.#ifVersion, version, this.#action);
      }
      compare.push(atRevision(this.recordKey, known?.record.revision ?? 0n));
    }
    if (this.#fence === undefined || known === undefined) return { compare, raised: undefined };
    const { lock, token } = this.#fence;
    const largest = known.fences.get(lock);
    requireFence(this.#key, this.#fence, largest);
    compare.push(atRevision(this.#place.fencesKey, known.fencesRevision));
    const raised = largest === token ? undefined : new Map(known.fences).set(lock, token);
    return { compare, raised };
  }

  #knownFrom({ responses }: TxnResponse): Known {
    const [record, fences] = responses.map(({ response }) =>
      response.case === "responseRange" ? response.value.kvs[0] : undefined,
    );
    const isLive = record !== undefined && this.#place.isLive(record.value);
    return {
      record: { revision: record?.modRevision ?? 0n, isLive },
      fencesRevision: fences?.modRevision ?? 0n,
      fences: fences === undefined ? new Map() : decodeFences(fences.value),
    };
  }
}

function changedBy({ header, responses }: TxnResponse): Changed {
  const [first] = responses;
  const deleted =
    first?.response.case === "responseDeleteRange" ? first.response.value.prevKvs[0] : undefined;
  return { revision: header?.revision ?? 0n, previous: deleted?.value };
}
