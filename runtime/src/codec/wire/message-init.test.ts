import type { Message } from "@bufbuild/protobuf";
import { expectTypeOf, test } from "vitest";
import type { MessageInit } from "./message-init.ts";

type Place = Message<"test.Place"> & { name: string; latitude: number };
type Person = Message<"test.Person"> & {
  name: string;
  home?: Place;
  places: Place[];
  choice: { case: "text"; value: string } | { case: undefined; value?: undefined };
};
type Init = MessageInit<Person>;

test("every field may be omitted, also in partial types", () => {
  expectTypeOf<Record<never, never>>().toExtend<Init>();
  expectTypeOf<Pick<Init, "name" | "places">>().toEqualTypeOf<{
    name?: string;
    places?: MessageInit<Place>[];
  }>();
});

test("the message itself is accepted, and none of another type", () => {
  expectTypeOf<Person>().toExtend<Init>();
  expectTypeOf<Place>().not.toExtend<Init>();
  expectTypeOf<{ home: { name: string } }>().toExtend<Init>();
  expectTypeOf<{ home: { name: number } }>().not.toExtend<Init>();
});
