import { createServer, MicroError } from "@micro-es/runtime";
import { fakeHandler } from "@micro-es/runtime/testing";
import { expect, test } from "vitest";
import {
  type GuardedServiceHandler,
  registerGuardedServiceHandler,
} from "../../../test/gen/micro/test/v1/guarded_micro.ts";

const server = () =>
  createServer({
    name: "docs",
    environment: { MICRO_REGISTRY: "memory", MICRO_TRANSPORT: "memory", MICRO_BROKER: "memory" },
  });

class Reader {
  read = async function* () {};
  about() {
    return { text: "" };
  }
}

class Documents extends Reader implements GuardedServiceHandler {
  write() {
    return { lines: 0 };
  }
  async *edit() {}
  delete() {
    return {};
  }
  onDocumentChanged() {}
}

test("accepts a complete handler: an instance, an inherited method, an object, a fake", () => {
  const documents = new Documents();
  const plain: GuardedServiceHandler = {
    about: () => ({}),
    async *read() {},
    write: () => ({}),
    async *edit() {},
    delete: () => ({}),
    onDocumentChanged() {},
  };
  const created = Object.create(documents) as GuardedServiceHandler;
  for (const handler of [documents, plain, created, fakeHandler<GuardedServiceHandler>({})]) {
    const target = server();
    registerGuardedServiceHandler(target, handler);
    expect(target.methods).toHaveLength(5);
  }
});

const { delete: _delete, ...incomplete } = {
  about: () => ({}),
  read: () => {},
  write: "not yet",
  edit: null,
  deleted: () => {},
  delete: () => ({}),
};

test.each<[string, unknown, RegExp]>([
  ["an empty object", {}, /lacks about, read, write, edit, delete, onDocumentChanged;/],
  ["a base class", new Reader(), /lacks write, edit, delete, onDocumentChanged;/],
  [
    "values that are not functions, and a misspelled name",
    incomplete,
    /lacks delete \(it has deleted\), onDocumentChanged; write is of type string and not a function; edit is null and not a function/,
  ],
  ["a class", Documents, /is the class Documents; pass an object or an instance/],
  ["nothing", undefined, /is undefined; pass an object/],
  ["null", null, /is null; pass an object/],
])("refuses %s in place of a handler at registration", (_what, handler, message) => {
  const target = server();
  const register = () => registerGuardedServiceHandler(target, handler as GuardedServiceHandler);
  expect(register).toThrow(MicroError);
  expect(register).toThrow(/handler of micro\.test\.v1\.GuardedService/);
  expect(register).toThrow(message);
  expect(target.methods).toEqual([]);
});
