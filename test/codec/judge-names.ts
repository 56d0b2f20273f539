import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { AnyCodec } from "@micro-es/runtime";
import { Random, randomMessage } from "./random-message.ts";

type Module = Record<string, unknown>;

/**
 * What is wrong with the output for a file: a codec that writes other bytes than protobuf-es or
 * does not read them, a client that does not call each of its rpcs, a handler that does not get
 * each of its calls.
 */
export function faultsOf(pb: Module, micro: Module): string[] {
  return [...faultsOfCodecs(pb, micro), ...faultsOfServices(pb, micro)];
}

function faultsOfCodecs(pb: Module, micro: Module): string[] {
  const faults: string[] = [];
  const codecs = new Map<string, AnyCodec>();
  for (const value of Object.values(micro)) {
    if (!Array.isArray(value)) continue;
    for (const codec of value as AnyCodec[]) codecs.set(codec.typeName, codec);
  }
  const random = new Random(1);
  for (const schema of Object.values(pb).filter(isMessageSchema)) {
    const codec = codecs.get(schema.typeName);
    if (codec === undefined) {
      faults.push(`${schema.typeName} has no codec`);
      continue;
    }
    for (let i = 0; i < 8; i++) {
      const message = i === 0 ? randomMessage(schema, random, 0) : randomMessage(schema, random);
      const theirs = bytesOr(() => toBinary(schema, message));
      // protobuf-es itself fails on some names, such as a message field named has_own_property:
      // then there is nothing to compare with.
      if (theirs === "an error") continue;
      const ours = bytesOr(() => codec.encode(message as never));
      if (theirs !== ours) faults.push(`${schema.typeName} is ${ours}, not ${theirs}`);
      const again = bytesOr(() =>
        toBinary(schema, codec.decode(toBinary(schema, message)) as Message),
      );
      const expected = bytesOr(() =>
        toBinary(schema, fromBinary(schema, toBinary(schema, message))),
      );
      if (expected !== "an error" && again !== expected)
        faults.push(`${schema.typeName} is read as ${again}, not ${expected}`);
    }
  }
  return faults;
}

function bytesOr(make: () => Uint8Array): string {
  try {
    return Buffer.from(make()).toString("hex");
  } catch {
    return "an error";
  }
}

function isMessageSchema(value: unknown): value is DescMessage {
  return (value as { kind?: string } | undefined)?.kind === "message";
}

function faultsOfServices(pb: Module, micro: Module): string[] {
  const faults: string[] = [];
  const called = (method: { name: string }) => method.name;
  const client = { unary: called, serverStream: called, clientStream: called, bidi: called };
  const names = new Set<string>();
  const members = new Map<string, string>();
  for (const [name, make] of Object.entries(micro)) {
    if (!/^create.*Client\$*\d*$/.test(name)) continue;
    const made = (make as (client: unknown) => Record<string, () => string>)(client);
    if (Object.getPrototypeOf(made) !== Object.prototype) faults.push(`${name} has a prototype`);
    for (const [member, call] of Object.entries(made)) {
      names.add(call());
      members.set(call(), member);
    }
  }
  const received = new Map<string, string>();
  const note = (
    method: { name: string },
    handler: (request: unknown, context: unknown) => string,
    options?: { name: string },
  ) => received.set(options?.name ?? method.name, handler({}, {}));
  const server = {
    unary: note,
    serverStream: note,
    clientStream: note,
    bidi: note,
    subscribe: note,
  };
  for (const [name, register] of Object.entries(micro)) {
    if (!/^register.*Handler\$*\d*$/.test(name)) continue;
    const handler = new Proxy({}, { get: (_, member) => () => member });
    (register as (server: unknown, handler: unknown) => void)(server, handler);
  }
  for (const service of Object.values(pb)) {
    const desc = service as { kind?: string; methods: { name: string }[]; typeName: string };
    if (desc?.kind !== "service") continue;
    for (const { name } of desc.methods) {
      const full = `${desc.typeName}/${name}`;
      const member = received.get(full);
      if (member === undefined) faults.push(`${full} is not registered`);
      else if (names.has(full) && members.get(full) !== member) {
        faults.push(`${full} is ${member} of the handler and ${members.get(full)} of the client`);
      }
    }
  }
  return faults;
}
