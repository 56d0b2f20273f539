import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type StalledResponse, StalledResponses } from "./stalled-responses.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

class Answer implements StalledResponse {
  readonly #answers: StalledResponses;
  bytes: number;
  takenAt = performance.now();
  givenUpAt: number | undefined;

  constructor(answers: StalledResponses, bytes: number) {
    this.#answers = answers;
    this.bytes = bytes;
    answers.add(this);
  }

  giveUp(): void {
    this.givenUpAt = performance.now();
    this.#answers.delete(this);
  }
}

const patience = { stallMs: 1_000, mostBytes: 100, shortStallMs: 200 };

test("a response that is not read is abandoned, and one that makes progress is not", () => {
  const answers = new StalledResponses(patience);
  const began = performance.now();
  const stalled = new Answer(answers, 40);
  const slow = new Answer(answers, 40);
  vi.advanceTimersByTime(900);
  slow.takenAt = performance.now();
  vi.advanceTimersByTime(900);
  expect(stalled.givenUpAt).toBe(began + 1_000);
  expect(slow.givenUpAt).toBeUndefined();
});

test("responses of a connection that holds much are abandoned sooner, until it holds little", () => {
  const answers = new StalledResponses(patience);
  const began = performance.now();
  const [first, second, third] = [50, 50, 50].map((bytes) => new Answer(answers, bytes));
  vi.advanceTimersByTime(900);
  expect(first?.givenUpAt).toBe(began + 200);
  expect(second?.givenUpAt).toBeUndefined();
  expect(third?.givenUpAt).toBeUndefined();
});

test("no timer goes on when nothing waits, or when the connection is closed", () => {
  const answers = new StalledResponses(patience);
  answers.delete(new Answer(answers, 1));
  vi.advanceTimersByTime(patience.shortStallMs);
  expect(vi.getTimerCount()).toBe(0);
  new Answer(answers, 1);
  expect(vi.getTimerCount()).toBe(1);
  answers.end();
  expect(vi.getTimerCount()).toBe(0);
});
