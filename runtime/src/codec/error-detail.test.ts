import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { MicroError } from "@micro-es/runtime";
import { errorDetail, findDetails } from "@micro-es/runtime/codec";
import { describe, expect, test } from "vitest";

describe("error details", () => {
  test("are found by type, in order", () => {
    const details = [
      errorDetail(DurationSchema, { seconds: 1n }),
      errorDetail(TimestampSchema, { seconds: 2n }),
      errorDetail(DurationSchema, { seconds: 3n }),
    ];
    const error = new MicroError("unavailable", "busy", { details });
    expect(details[0]?.typeName).toBe("google.protobuf.Duration");
    expect(findDetails(error, DurationSchema).map(({ seconds }) => seconds)).toEqual([1n, 3n]);
    expect(findDetails(new MicroError("unavailable", "busy"), DurationSchema)).toEqual([]);
  });

  test("that are malformed are skipped", () => {
    const details = [
      { typeName: "google.protobuf.Duration", value: new Uint8Array([0xff]) },
      errorDetail(DurationSchema, { seconds: 3n }),
    ];
    const error = new MicroError("unavailable", "busy", { details });
    expect(findDetails(error, DurationSchema)).toHaveLength(1);
  });

  test("that do not fit their schema are an error", () => {
    const wrong = { seconds: "x" } as never;
    expect(() => errorDetail(DurationSchema, wrong)).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});
