import { Buffer } from "node:buffer";
import { type JuteReader, type JuteWriter, MalformedError } from "./jute.ts";

/** A request that changes or reads znodes, and how its response is read. */
export interface Operation<T> {
  readonly type: number;
  /** Whether it changes nothing, so that it may be sent again. */
  readonly isRead: boolean;
  /** The znode, for messages. */
  readonly path: string;
  readonly write: (writer: JuteWriter) => void;
  readonly read: (reader: JuteReader) => T;
}

/** The state of a znode. */
export interface Stat {
  /** The transaction that created it. */
  readonly czxid: bigint;
  /** The transaction that last wrote its data. */
  readonly mzxid: bigint;
  /** When its data was last written, on the server's clock, in milliseconds. */
  readonly mtime: number;
  /** How often its data was written since it was created. */
  readonly version: number;
  /** The session that it ends with; 0 for none. */
  readonly ephemeralOwner: bigint;
  readonly numChildren: number;
  /** The transaction that last changed its children. */
  readonly pzxid: bigint;
}

/** A right of someone to a znode. */
export interface Acl {
  readonly permissions: number;
  readonly scheme: string;
  readonly id: string;
}

export interface NewZnode {
  readonly path: string;
  readonly data: Uint8Array;
  readonly acl: readonly Acl[];
  /** Whether it ends with the session. */
  readonly isEphemeral?: boolean;
}

/** The result of one operation of a transaction. */
export interface TransactionResult {
  /** 0, or the error that its transaction failed with. */
  readonly err: number;
  /**
   * The state after a write; undefined for other operations, in a failed transaction, and for a
   * creation in ZooKeeper 3.8 and earlier.
   */
  readonly stat: Stat | undefined;
}

const statBytes = 68;
const createType = 15;
/** What ZooKeeper 3.8 responds to {@link createType} in a transaction. */
const plainCreateType = 1;
const deleteType = 2;
const setType = 5;

export function create({
  path,
  data,
  acl,
  isEphemeral = false,
}: NewZnode): Operation<{ readonly stat: Stat }> {
  return {
    type: createType,
    isRead: false,
    path,
    write(writer) {
      writer.text(path);
      writer.bytes(data);
      writer.list(acl, ({ permissions, scheme, id }) => {
        writer.int(permissions);
        writer.text(scheme);
        writer.text(id);
      });
      writer.int(isEphemeral ? 1 : 0);
    },
    read(reader) {
      reader.text();
      return { stat: readStat(reader) };
    },
  };
}

/** @param version of the data, or -1 for any. */
export function remove(path: string, version: number): Operation<void> {
  return {
    type: deleteType,
    isRead: false,
    path,
    write(writer) {
      writer.text(path);
      writer.int(version);
    },
    read: () => {},
  };
}

/** @param version of the data that is replaced, or -1 for any. */
export function setData(path: string, data: Uint8Array, version: number): Operation<Stat> {
  return {
    type: setType,
    isRead: false,
    path,
    write(writer) {
      writer.text(path);
      writer.bytes(data);
      writer.int(version);
    },
    read: readStat,
  };
}

export function getData(path: string): Operation<{ readonly data: Buffer; readonly stat: Stat }> {
  return {
    type: 4,
    isRead: true,
    path,
    write: unwatched(path),
    read: (reader) => ({ data: Buffer.from(reader.bytes()), stat: readStat(reader) }),
  };
}

export function getChildren(
  path: string,
): Operation<{ readonly children: readonly string[]; readonly stat: Stat }> {
  return {
    type: 12,
    isRead: true,
    path,
    write: unwatched(path),
    read: (reader) => ({ children: reader.list(4, () => reader.text()), stat: readStat(reader) }),
  };
}

/** Makes the reads after it on its connection see all that was written before it. */
export function sync(path: string): Operation<void> {
  return {
    type: 9,
    isRead: true,
    path,
    write: (writer) => writer.text(path),
    read: () => {},
  };
}

/** Watches a znode, or it and all below it, until the connection ends. */
export function addWatch(path: string, isTree: boolean): Operation<void> {
  return {
    type: 106,
    isRead: true,
    path,
    write(writer) {
      writer.text(path);
      writer.int(isTree ? 1 : 0);
    },
    read: () => {},
  };
}

/** Removes all watches of a path. */
export function removeWatches(path: string): Operation<void> {
  return {
    type: 18,
    isRead: true,
    path,
    write(writer) {
      writer.text(path);
      writer.int(3);
    },
    read: () => {},
  };
}

/** Executes all operations, which are writes, or none of them. */
export function transaction(
  operations: readonly Operation<unknown>[],
): Operation<readonly TransactionResult[]> {
  return {
    type: 14,
    isRead: false,
    path: operations[0]?.path ?? "/",
    write(writer) {
      for (const operation of operations) {
        writeTransactionHead(writer, operation.type, false);
        operation.write(writer);
      }
      writeTransactionHead(writer, -1, true);
    },
    read: readResults,
  };
}

function writeTransactionHead(writer: JuteWriter, type: number, isEnd: boolean): void {
  writer.int(type);
  writer.bool(isEnd);
  writer.int(-1);
}

function readResults(reader: JuteReader): readonly TransactionResult[] {
  const results: TransactionResult[] = [];
  for (;;) {
    const type = reader.int();
    const isEnd = reader.bool();
    reader.int();
    if (isEnd) return results;
    results.push(readResult(reader, type));
  }
}

function readResult(reader: JuteReader, type: number): TransactionResult {
  switch (type) {
    case -1:
      return { err: reader.int(), stat: undefined };
    case plainCreateType:
      reader.text();
      return { err: 0, stat: undefined };
    case createType:
      reader.text();
      return { err: 0, stat: readStat(reader) };
    case setType:
      return { err: 0, stat: readStat(reader) };
    case deleteType:
      return { err: 0, stat: undefined };
    default:
      throw new MalformedError(`the result of an operation of type ${type}`);
  }
}

function unwatched(path: string): (writer: JuteWriter) => void {
  return (writer) => {
    writer.text(path);
    writer.bool(false);
  };
}

function readStat(reader: JuteReader): Stat {
  if (reader.left < statBytes) throw new MalformedError(`a state of ${reader.left} bytes`);
  const [czxid, mzxid] = [reader.long(), reader.long()];
  reader.long();
  const mtime = Number(reader.long());
  const version = reader.int();
  // The versions of the children and of the rights.
  reader.long();
  const ephemeralOwner = reader.long();
  reader.int();
  return {
    czxid,
    mzxid,
    mtime,
    version,
    ephemeralOwner,
    numChildren: reader.int(),
    pzxid: reader.long(),
  };
}
