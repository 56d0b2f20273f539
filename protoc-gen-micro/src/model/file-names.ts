import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { ServiceModel } from "./declarations.ts";
import type { FileModel } from "./file-model.ts";
import { NameAllocator } from "./name-allocator.ts";
import { identifier, pbNames } from "./pb-names.ts";

export interface ServiceNames {
  readonly client: string;
  readonly createClient: string;
  readonly handler: string;
  readonly registerHandler: string;
}

export interface MessageNames {
  /** The type of the message's initializer. */
  readonly init: string;
  readonly codec: string;
}

/** The top-level names of the output files of a .proto file. */
export interface FileNames {
  readonly services: ReadonlyMap<DescService, ServiceNames>;
  /** The exported initializer types and codecs of the file's own messages. */
  readonly messages: ReadonlyMap<DescMessage, MessageNames>;
  readonly topics: ReadonlyMap<DescMessage, string>;
  readonly methods: ReadonlyMap<DescMethod, string>;
  /** The list of all codecs. */
  readonly codecs: string;
  /** The constant with which codecs find their descriptors. */
  readonly descriptors: string;
  /** Allocates the name of something that is not exported. */
  readonly local: (wanted: string) => string;
}

/**
 * Allocates the names of a file's exports. They depend on the file and the options alone, so that
 * other files and other runs of the plugin arrive at the same names for their imports.
 */
export function fileNames(model: FileModel): FileNames {
  const allocator = new NameAllocator(pbNames(model.file).all);
  const services = new Map<DescService, ServiceNames>();
  const messages = new Map<DescMessage, MessageNames>();
  const topics = new Map<DescMessage, string>();
  const methods = new Map<DescMethod, string>();
  for (const { desc } of model.services) {
    const name = upperFirst(desc.name);
    services.set(desc, {
      client: allocator.take(`${name}Client`),
      createClient: allocator.take(`create${name}Client`),
      handler: allocator.take(`${name}Handler`),
      registerHandler: allocator.take(`register${name}Handler`),
    });
  }
  for (const message of model.messages) {
    if (message.file !== model.file) continue;
    messages.set(
      message,
      messageNames(message, (wanted) => allocator.take(wanted)),
    );
  }
  for (const { message } of model.topics) {
    topics.set(message, allocator.take(`${identifier(message)}Topic`));
  }
  const file = camelCase(model.file.name);
  const codecs = allocator.take(`${file}Codecs`);
  for (const { desc, rpcs } of model.services) {
    for (const rpc of rpcs) {
      if (rpc.kind === "method") {
        methods.set(rpc.desc, allocator.take(`${desc.name}_${rpc.desc.localName}`));
      }
    }
  }
  // Last, so that the names of earlier versions stay as they are.
  const descriptors = allocator.take(`${file}Descriptors`);
  return {
    services,
    messages,
    topics,
    methods,
    codecs,
    descriptors,
    local: (wanted) => allocator.take(wanted),
  };
}

export function messageNames(message: DescMessage, take: (wanted: string) => string): MessageNames {
  const name = identifier(message);
  return { init: take(`${name}Init`), codec: take(`${name}Codec`) };
}

/**
 * The method names of client and handler, by rpc. protobuf-es already escapes names that every
 * object has. In addition, `await` treats an object with a `then` method as a promise, and
 * `__proto__` in an object literal sets the prototype.
 */
export function memberNames(service: ServiceModel): ReadonlyMap<DescMethod, string> {
  const allocator = new NameAllocator(["then", "__proto__"]);
  return new Map(service.rpcs.map(({ desc }) => [desc, allocator.take(desc.localName)]));
}

function upperFirst(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

/** `acme/order-events` becomes `orderEvents`. */
function camelCase(path: string): string {
  const words = path
    .slice(path.lastIndexOf("/") + 1)
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "");
  const name = words.map((word, index) => (index === 0 ? word : upperFirst(word))).join("");
  return /^[A-Za-z]/.test(name) ? name : `_${name}`;
}
