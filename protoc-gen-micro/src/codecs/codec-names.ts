import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import type { Name } from "../emit/layout.ts";
import { identifier } from "../model/pb-names.ts";

/** The functions of the codec of one of the file's own messages. */
export interface CodecFunctions {
  readonly create: Name;
  readonly read: Name;
  readonly write: Name;
}

/** The names that the codecs of a file consist of. None of them is exported. */
export class CodecNames {
  readonly #private: (wanted: string) => Name;
  readonly #names = new Map<string, Name>();
  readonly #functions = new Map<DescMessage, CodecFunctions>();

  /** @param privateName creates a top-level name */
  constructor(privateName: (wanted: string) => Name) {
    this.#private = privateName;
  }

  functions(message: DescMessage): CodecFunctions {
    let functions = this.#functions.get(message);
    if (functions === undefined) {
      const name = identifier(message);
      functions = {
        create: this.#private(`new${name}`),
        read: this.#private(`read${name}`),
        write: this.#private(`write${name}`),
      };
      this.#functions.set(message, functions);
    }
    return functions;
  }

  /** The constructor of messages whose prototype holds the defaults. */
  constructorOf(message: DescMessage): Name {
    return this.#named(`${identifier(message)}Message`, message.typeName);
  }

  /** The function that reads an entry of a map field. */
  readEntry(field: DescField): Name {
    return this.#named(`read${identifier(field.parent)}_${field.localName}`, String(field));
  }

  /** The function that checks whether a closed enum has a value. */
  isKnown(desc: DescEnum): Name {
    return this.#named(`is${identifier(desc)}`, desc.typeName);
  }

  /** The set of values of a large closed enum. */
  valuesOf(desc: DescEnum): Name {
    return this.#named(`valuesOf${identifier(desc)}`, desc.typeName);
  }

  /** One of the functions into which a function of a large message is split. */
  part(kind: "read" | "write", message: DescMessage, index: number): Name {
    return this.#named(`${kind}${identifier(message)}_part${index}`, message.typeName);
  }

  /** The codec of a message that was not generated together with this file. */
  foreign(message: DescMessage): Name {
    return this.#named(`${identifier(message)}Codec`, message.typeName);
  }

  #named(wanted: string, key: string): Name {
    const full = `${wanted} ${key}`;
    let name = this.#names.get(full);
    if (name === undefined) {
      name = this.#private(wanted);
      this.#names.set(full, name);
    }
    return name;
  }
}
