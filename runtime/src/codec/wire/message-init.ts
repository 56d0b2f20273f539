import type { Message } from "@bufbuild/protobuf";

/**
 * What may be given for a message: the message itself, or an object with some of its fields. It is what
 * protobuf-es' `create` takes, said without the descriptor.
 */
export type MessageInit<M> =
  | M
  | {
      [P in keyof M as P extends "$unknown" ? never : P]?: P extends "$typeName"
        ? never
        : FieldInit<M[P]>;
    };

type FieldInit<F> = F extends Date | Uint8Array | bigint | boolean | string | number
  ? F
  : F extends (infer U)[]
    ? FieldInit<U>[]
    : F extends readonly (infer U)[]
      ? readonly FieldInit<U>[]
      : F extends Message
        ? MessageInit<F>
        : F extends { case: infer C extends string; value: infer V extends Message }
          ? { case: C; value: MessageInit<V> }
          : F extends { [key: string | number]: infer V extends Message }
            ? { [key: string | number]: MessageInit<V> }
            : F;
