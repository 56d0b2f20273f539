import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { safeIdentifier } from "@bufbuild/protoplugin";
import { NameAllocator } from "../model/name-allocator.ts";
import { identifier } from "../model/pb-names.ts";

/** The functions that make up the codec of one of the file's own messages. */
export interface CodecFunctions {
  readonly create: string;
  readonly read: string;
  readonly write: string;
}

/** What the file may import from the runtime and what its own functions may want to be called. */
const runtimeNames =
  /^(read(Group|Key|Enum|Struct|Wrapped|Packed\w*)|write(Struct|Packed\w*)|is(Own|Nonzero)|(message|reflect)Codec)$/;

/** Names of everything in a file that its codecs consist of. None of it is exported. */
export class CodecNames {
  readonly #take: (wanted: string) => string;
  readonly #names = new Map<string, string>();
  readonly #functions = new Map<DescMessage, CodecFunctions>();

  /** @param take takes a name on the top level of the file */
  constructor(take: (wanted: string) => string) {
    this.#take = (wanted) => take(runtimeNames.test(wanted) ? `${wanted}$` : wanted);
  }

  functions(message: DescMessage): CodecFunctions {
    let functions = this.#functions.get(message);
    if (functions === undefined) {
      const name = identifier(message);
      functions = {
        create: this.#take(`new${name}`),
        read: this.#take(`read${name}`),
        write: this.#take(`write${name}`),
      };
      this.#functions.set(message, functions);
    }
    return functions;
  }

  /** The constructor of messages whose defaults stand on their prototype. */
  constructorOf(message: DescMessage): string {
    return this.#named(`${identifier(message)}Message`, message.typeName);
  }

  /** The function that reads an entry of a map field. */
  readEntry(field: DescField): string {
    const parent = field.parent;
    return this.#named(`read${identifier(parent)}_${field.localName}`, String(field));
  }

  /** The function that tells whether a closed enum has a value. */
  isKnown(desc: DescEnum): string {
    return this.#named(`is${identifier(desc)}`, desc.typeName);
  }

  /** The codec of a message that was not generated along with this file. */
  foreign(message: DescMessage): string {
    return this.#named(`${identifier(message)}Codec`, message.typeName);
  }

  #named(wanted: string, key: string): string {
    const full = `${wanted} ${key}`;
    let name = this.#names.get(full);
    if (name === undefined) {
      name = this.#take(wanted);
      this.#names.set(full, name);
    }
    return name;
  }
}

/** What functions of codecs call their own parameters and variables, and what else they use or may not declare. */
const ownVariables =
  "message writer pos bytes room start entry i keys key value closeLength lengthOf Object undefined " +
  "arguments eval await let static yield implements interface package private protected public";

/**
 * The variables into which a function takes its message's members, by member. They must hide nothing that the
 * function calls: the file's functions begin with a verb and a name in capitals, and so does what the runtime
 * exports, so a member that looks like one of these gets a `$`.
 */
export function variableNames(message: DescMessage): ReadonlyMap<string, string> {
  const allocator = new NameAllocator(ownVariables.split(" "));
  const names = new Map<string, string>();
  for (const { localName } of message.members) {
    const looksCalled =
      /^(read|write|store|put|new|is|set|check|no)[A-Z]|Codec$|Keys?$|^(required|described)$/;
    const safe = safeIdentifier(localName);
    names.set(localName, allocator.take(looksCalled.test(safe) ? `${safe}$` : safe));
  }
  return names;
}
