import type { Message } from "@bufbuild/protobuf";

/**
 * What may be given for a message: an object with some of its fields, or the message itself, which is one with all of
 * them. It is what protobuf-es' `create` takes, said without the descriptor. As one object type and not a union, it
 * leaves fields optional in what is made from it, as with `Pick`.
 */
export type MessageInit<M> = {
  [P in keyof M]?: P extends "$typeName" | "$unknown" ? M[P] : FieldInit<M[P]>;
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
