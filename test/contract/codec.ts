import assert from "node:assert/strict";
import type { AnyCodec, Format } from "@micro-es/runtime";
import type { ContractCase } from "./contract.ts";

/** A message type for the codec suite, with messages to send and the expected results. */
export interface CodecFixture {
  /** A codec of the type, in any format. */
  readonly codec: AnyCodec;
  /** Initializers, with the messages that they decode to. */
  readonly messages: readonly { readonly init: unknown; readonly received: unknown }[];
  /** A value that is not a valid initializer of the type. */
  readonly invalid: unknown;
  /** Bytes that are not a valid message in this format. */
  readonly malformed: readonly Uint8Array[];
}

/** The behaviour of every format. */
export function codecContract(format: Format, fixture: CodecFixture): readonly ContractCase[] {
  const codec = () => format.codecFor(fixture.codec);
  return [
    {
      name: "names its content type and the message's type",
      async run() {
        assert.equal(codec().contentType, format.contentType);
        assert.equal(codec().typeName, fixture.codec.typeName);
      },
    },
    {
      name: "returns a codec unchanged if it is already in the format",
      async run() {
        const once = codec();
        assert.equal(format.codecFor(once), once);
      },
    },
    {
      name: "decodes what it encoded, with every absent field at its default",
      async run() {
        for (const { init, received } of fixture.messages) {
          assert.deepEqual(codec().decode(codec().encode(init)), received);
        }
      },
    },
    {
      name: "encodes a received message to the same bytes as its initializer",
      async run() {
        for (const { init, received } of fixture.messages) {
          assert.deepEqual(codec().encode(received), codec().encode(init));
        }
      },
    },
    {
      name: "encodes into a given buffer as into a fresh one, and reports if it does not fit",
      async run() {
        const { encodeInto } = codec();
        if (encodeInto === undefined) return;
        for (const { init } of fixture.messages) {
          const bytes = codec().encode(init);
          const target = new Uint8Array(bytes.length + 7);
          const end: number = encodeInto.call(codec(), init, target, 3);
          assert.deepEqual(target.subarray(3, end), bytes);
          if (bytes.length > 0) {
            assert.ok(
              encodeInto.call(codec(), init, new Uint8Array(bytes.length - 1), 0) >
                bytes.length - 1,
            );
          }
        }
      },
    },
    {
      name: "refuses a value that does not fit the type with invalid_argument, not executed",
      async run() {
        assert.throws(() => codec().encode(fixture.invalid), {
          code: "invalid_argument",
          outcome: "not-executed",
        });
      },
    },
    {
      name: "refuses malformed bytes with invalid_argument",
      async run() {
        for (const bytes of fixture.malformed) {
          assert.throws(() => codec().decode(bytes), { code: "invalid_argument" });
        }
      },
    },
  ];
}
