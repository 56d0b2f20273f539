import {
  type AnyMethod,
  type Code,
  deadlineAfter,
  Metadata,
  MicroError,
  type Transport,
} from "@micro-es/runtime";
import type { Channel, OutgoingCall } from "@micro-es/runtime/driver";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EchoMethod } from "../support/echo.ts";
import { type GuardedServer, methods, startGuardedServer } from "./guarded-server.ts";

/** A protocol of calls, with how to serve it and to call by it. */
export interface AccessProtocol {
  readonly serve: Transport;
  readonly call: Transport;
  readonly address: string;
  /** Converts the address of the listener into the one to dial. Default: the same address. */
  readonly dialled?: (address: string) => string;
  /** Whether messages are JSON, so that a test cannot make a client send other bytes. */
  readonly isJson?: boolean;
  /** Whether requests are in URLs, which cannot be large. */
  readonly isGet?: boolean;
  /** Whether streams go in both directions at the same time. Default true. */
  readonly streams?: boolean;
}

const unauthenticated = {
  code: "unauthenticated",
  message: "the call needs a valid credential",
  outcome: "not-executed",
} as const;
const refused = {
  code: "permission_denied",
  message: "the caller may not do this",
  outcome: "not-executed",
} as const;

/** What every protocol must do about callers. */
export function describeAccess(name: string, create: () => AccessProtocol): void {
  describe(`callers by ${name}`, () => {
    let protocol: AccessProtocol;
    let guarded: GuardedServer;
    let channel: Channel;

    beforeAll(async () => {
      protocol = create();
      guarded = await startGuardedServer(protocol.serve, protocol.address);
      channel = await dial();
    });
    afterAll(async () => {
      await channel?.close();
      await guarded?.[Symbol.asyncDispose]();
    });
    beforeEach(() => {
      guarded.handled.length = 0;
      guarded.signals.length = 0;
    });

    const dial = () =>
      protocol.call.dial(protocol.dialled?.(guarded.listener.address) ?? guarded.listener.address, {
        deadline: deadlineAfter(10_000),
      });

    const unary = (method: EchoMethod, values: readonly string[], call?: Partial<OutgoingCall>) =>
      channel.unary(method, { text: "hello" }, outgoing(values, call));

    const failureOf = async (work: Promise<unknown>) => {
      const error = await work.then(
        () => undefined,
        (reason) => reason,
      );
      if (!(error instanceof MicroError)) throw new Error("it succeeded", { cause: error });
      return { code: error.code, message: error.message, outcome: error.outcome };
    };

    /** Each twice: a credential that is new, and one that is known. */
    const refusedTwice = async (
      method: EchoMethod,
      values: readonly string[],
      expected: { code: Code; message: string; outcome: string },
    ) => {
      expect(await failureOf(unary(method, values))).toEqual(expected);
      expect(await failureOf(unary(method, values))).toEqual(expected);
      expect(guarded.handled).toEqual([]);
    };
    const allowedTwice = async (method: EchoMethod, values: readonly string[]) => {
      expect((await unary(method, values)).text).toBe("hello");
      expect((await unary(method, values)).text).toBe("hello");
      expect(guarded.handled).toHaveLength(2);
      return guarded.handled[0]?.[1];
    };
    const bearer = (...scopes: string[]) => [`Bearer ${guarded.auth.issue(...scopes)}`];

    test("a caller without a credential calls what is public, and nothing else", async () => {
      expect(await allowedTwice(methods.open, [])).toBeUndefined();
      guarded.handled.length = 0;
      for (const method of [methods.any, methods.scoped, methods.unspecified, methods.denied]) {
        await refusedTwice(method, [], unauthenticated);
      }
      expect(await allowedTwice(methods.granted, [])).toBeUndefined();
    });

    test("an account calls what the schema and the rules allow", async () => {
      const caller = bearer("echo.write");
      expect(await allowedTwice(methods.any, caller)).toMatch(/^user-/);
      guarded.handled.length = 0;
      await allowedTwice(methods.scoped, caller);
      guarded.handled.length = 0;
      await allowedTwice(methods.granted, caller);
      guarded.handled.length = 0;
      await allowedTwice(methods.open, caller);
      guarded.handled.length = 0;
      await refusedTwice(methods.denied, caller, refused);
      await refusedTwice(methods.unspecified, caller, refused);
    });

    test("an account without the scope is refused", async () => {
      await refusedTwice(methods.scoped, bearer("echo.read", "ECHO.WRITE"), refused);
    });

    const bad: Record<string, readonly string[]> = {
      "that is not valid": ["Bearer nonsense"],
      "of another scheme": ["Basic dXNlcjpwYXNz"],
      "without a token": ["Bearer"],
      "of more than 8 KiB": [`Bearer ${"x".repeat(8 * 1024 + 1)}`],
      "with a comma and another": ["Bearer a, Bearer b"],
    };
    for (const [what, values] of Object.entries(bad)) {
      test(`a credential ${what} is refused everywhere, also where none is needed`, async () => {
        await refusedTwice(methods.any, values, unauthenticated);
        await refusedTwice(methods.open, values, unauthenticated);
        await refusedTwice(unknown("micro.test.v1.Guarded/None"), values, unauthenticated);
      });
    }

    test("two credentials are refused, even if both are valid", async () => {
      await refusedTwice(methods.any, [...bearer(), ...bearer()], unauthenticated);
      const [same = ""] = bearer();
      await refusedTwice(methods.open, [same, same], unauthenticated);
    });

    test("only callers that may call methods learn their names", async () => {
      const method = unknown("micro.test.v1.Guarded/Scopes");
      // As of a method that exists.
      expect(await failureOf(unary(method, []))).toEqual(unauthenticated);
      const other = await failureOf(unary(method, bearer()));
      expect(other.message).not.toContain("Scoped");
      expect(other.message).toMatch(/Any|Open/);
      const allowed = await failureOf(unary(method, bearer("echo.write")));
      expect(allowed.message).toContain("Scoped");
    });

    test("no other spelling of a name is a way around what is said about it", async () => {
      const caller = bearer();
      const spellings = [
        "micro.test.v1.guarded/scoped",
        "micro.test.v1.Guarded/scoped",
        "micro.test.v1.Guarded/SCOPED",
        "other.Guarded/Scoped",
        "Guarded/Scoped",
      ];
      for (const name of spellings) {
        const { code, outcome } = await failureOf(unary(unknown(name), caller));
        expect(outcome).toBe("not-executed");
        // go-micro's names have no package.
        expect(code).toMatch(/unimplemented|permission_denied/);
      }
      expect(guarded.handled).toEqual([]);
    });

    test("a request that cannot be read is refused for its caller, and not for its bytes", async () => {
      if (protocol.isJson === true) return;
      const broken = unreadable(methods.scoped);
      expect(await failureOf(unary(broken, []))).toEqual(unauthenticated);
      expect(await failureOf(unary(broken, bearer()))).toEqual(refused);
      const error = await failureOf(unary(broken, bearer("echo.write")));
      expect(error.code).toMatch(/invalid_argument|internal/);
      expect(guarded.handled).toEqual([]);
    });

    test("a large request is refused for its caller, and accepted from another", async () => {
      if (protocol.isGet === true) return;
      const payload = new Uint8Array(512 * 1024).fill(1);
      const work = channel.unary(methods.any, { payload }, outgoing([]));
      expect(await failureOf(work)).toEqual(unauthenticated);
      const { text } = await channel.unary(methods.any, { text: "x", payload }, outgoing(bearer()));
      expect(text).toBe("x");
    });

    test("many calls wait for the verification of one credential", async () => {
      const release = guarded.auth.hold();
      const caller = bearer();
      const before = guarded.auth.inspected;
      const calls = Array.from({ length: 20 }, () => unary(methods.any, caller));
      await expect.poll(() => guarded.auth.pending).toBe(1);
      release();
      for (const { text } of await Promise.all(calls)) expect(text).toBe("hello");
      expect(guarded.auth.inspected - before).toBe(1);
    });

    test("a call is refused when its verification fails late", async () => {
      const release = guarded.auth.hold();
      const work = failureOf(unary(methods.any, ["Bearer late-and-bad"]));
      await expect.poll(() => guarded.auth.pending).toBe(1);
      release();
      expect(await work).toEqual(unauthenticated);
      expect(guarded.handled).toEqual([]);
    });

    test("a caller cancels while its credential is verified", async () => {
      const release = guarded.auth.hold();
      const controller = new AbortController();
      const work = failureOf(unary(methods.any, bearer(), { signal: controller.signal }));
      await expect.poll(() => guarded.auth.pending).toBe(1);
      controller.abort();
      expect(await work).toMatchObject({ code: "canceled" });
      await expect.poll(() => openCalls()).toBe(0);
      release();
      await unary(methods.open, []);
      expect(guarded.handled).toEqual([["Open", undefined]]);
    });

    test("a deadline passes while a credential is verified", async () => {
      const release = guarded.auth.hold();
      const work = failureOf(unary(methods.any, bearer(), { deadline: deadlineAfter(300) }));
      await expect.poll(() => guarded.auth.pending).toBe(1);
      expect(await work).toMatchObject({ code: "deadline_exceeded" });
      await expect.poll(() => openCalls()).toBe(0);
      release();
      await unary(methods.open, []);
      expect(guarded.handled).toEqual([["Open", undefined]]);
    });

    test("a connection is lost while a credential is verified", async () => {
      const release = guarded.auth.hold();
      const lost = await dial();
      const work = failureOf(lost.unary(methods.any, { text: "x" }, outgoing(bearer())));
      await expect.poll(() => guarded.auth.pending).toBe(1);
      await lost.close();
      await work;
      await expect.poll(() => openCalls()).toBe(0);
      release();
      await unary(methods.open, []);
      expect(guarded.handled).toEqual([["Open", undefined]]);
    });

    test("a stream is served once its credential is verified", async () => {
      const release = guarded.auth.hold();
      const stream = channel
        .stream(methods.watch, [{ text: "a" }], outgoing(bearer()))
        [Symbol.asyncIterator]();
      const first = stream.next();
      await expect.poll(() => guarded.auth.pending).toBe(1);
      expect(guarded.handled).toEqual([]);
      release();
      expect(await first).toMatchObject({ value: { text: "begun" } });
      await stream.return?.();
      await expect.poll(() => guarded.signals[0]?.aborted).toBe(true);
    });

    test("a stream without a valid credential is refused, and nothing of it is read", async () => {
      const broken = protocol.isJson === true ? methods.watch : unreadable(methods.watch);
      for (const method of [methods.watch, broken]) {
        // The first is refused at once, and the second once it has been inspected.
        for (const values of [[], [`Bearer bad-${method === broken}`]]) {
          expect(await failureOf(drain(channel, method, values))).toEqual(unauthenticated);
        }
      }
      expect(guarded.handled).toEqual([]);
    });

    test("requests that arrive while a stream waits are all served", async () => {
      if (protocol.streams === false) return;
      const release = guarded.auth.hold();
      const texts = Array.from({ length: 50 }, (_, index) => `text ${index}`);
      const requests = texts.map((text) => ({ text }));
      const work = drain(channel, methods.chat, bearer(), requests);
      await expect.poll(() => guarded.auth.pending).toBe(1);
      release();
      expect(await work).toEqual(texts);
    });

    test("a revocation ends an open stream, for its caller and for its handler", async () => {
      const token = guarded.auth.issue();
      const stream = channel
        .stream(methods.watch, [{}], outgoing([`Bearer ${token}`]))
        [Symbol.asyncIterator]();
      await stream.next();
      await guarded.auth.revokeToken(token);
      const error = await failureOf(Promise.resolve(stream.next()));
      expect(error).toEqual({ ...unauthenticated, outcome: "unknown" });
      await expect.poll(() => guarded.signals[0]?.aborted).toBe(true);
      await refusedTwiceAfterStream(token);
    });

    const refusedTwiceAfterStream = async (token: string) => {
      guarded.handled.length = 0;
      await refusedTwice(methods.any, [`Bearer ${token}`], unauthenticated);
    };

    test("metadata that claims an account or a namespace changes nothing", async () => {
      const metadata = new Metadata({
        "micro-account": "admin",
        "micro-namespace": "other",
        "x-forwarded-user": "admin",
      });
      expect(await failureOf(unary(methods.any, [], { metadata }))).toEqual(unauthenticated);
      await unary(methods.open, [], { metadata });
      await unary(methods.any, bearer(), { metadata });
      expect(guarded.handled).toEqual([
        ["Open", undefined],
        ["Any", expect.stringMatching(/^user-/)],
      ]);
    });

    const openCalls = () => guarded.listener.openCalls;
  });
}

function outgoing(values: readonly string[], call: Partial<OutgoingCall> = {}): OutgoingCall {
  const metadata = new Metadata(call.metadata);
  for (const value of values) metadata.append("authorization", value);
  return {
    deadline: deadlineAfter(10_000),
    signal: undefined,
    responseMetadata: undefined,
    trailers: undefined,
    ...call,
    metadata,
  };
}

async function drain(
  channel: Channel,
  method: EchoMethod,
  values: readonly string[],
  requests: readonly { readonly text?: string }[] = [{}],
): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of channel.stream(method, requests, outgoing(values))) texts.push(text);
  return texts;
}

function unknown(name: string): EchoMethod {
  return { ...methods.any, name };
}

/** The method, with requests that are not messages. */
function unreadable(method: EchoMethod): EchoMethod {
  const { typeName, contentType, schema } = method.input;
  const bytes = Uint8Array.of(0x0a, 0xff, 0xff);
  const input: AnyMethod["input"] = {
    typeName,
    contentType,
    ...(schema !== undefined && { schema }),
    encode: () => bytes,
    decode: (received: Uint8Array) => received,
  };
  return { ...method, input };
}
