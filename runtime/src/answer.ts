import type { MicroError } from "./error.ts";

const answers = new WeakSet<MicroError>();

/** Says that an error came as the other side's answer, word for word, though nothing is known of its effect. */
export function asAnswer(error: MicroError): MicroError {
  answers.add(error);
  return error;
}

/** Whether an error is the answer of the other side's handler, or of what stands for it. */
export function isAnswer(error: MicroError): boolean {
  return error.outcome === "executed" || answers.has(error);
}
