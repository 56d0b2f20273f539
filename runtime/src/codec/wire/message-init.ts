import type { Message } from "@bufbuild/protobuf";

/**
 * Initializer for a message: an object with some of its fields, or the message itself, which has
 * all of them. It accepts what protobuf-es' `create` accepts, expressed without the descriptor.
 * Because it is one object type and not a union, types derived from it, as with `Pick`, keep the
 * fields optional.
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
