import { abortError, listenForAbort, pauseUntilAborted, untilAborted } from "../../base/abort.ts";
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import { Closable } from "../../base/closable.ts";
import { asMicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { settleAll } from "../../base/settle-all.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import type { Node, RegisterOptions, Registration, Registry } from "../registry.ts";
import { settleSome } from "./settle-some.ts";

const retry: Backoff = { firstMs: 250, factor: 2, mostMs: 10_000, jitter: 0.5 };

/** How a {@link MergedRegistration} registers. */
export interface MergedRegistrationParts {
  /** The registries that register, at least one. */
  readonly members: readonly Registry[];
  readonly options: RegisterOptions;
  readonly logger: Logger;
  readonly onClose: () => void;
}

/**
 * A node in several registries. It is registered once it is in one of them; those that cannot be
 * reached get it when they are back.
 */
export class MergedRegistration extends Closable implements Registration {
  readonly node: Node;
  readonly #parts: MergedRegistrationParts;
  readonly #registered = new Map<Registry, Registration>();
  /** The registries that could not be reached, and why. */
  readonly #missing = new Map<Registry, unknown>();
  readonly #working = new Set<Promise<void>>();
  readonly #ended: AbortController = sharedAbortController();
  /** Ends the retries; a later registration of the id then has its place. */
  #retries: AbortController = sharedAbortController();
  #begun = false;

  constructor(node: Node, parts: MergedRegistrationParts) {
    super();
    this.node = node;
    this.#parts = parts;
  }

  get active(): boolean {
    return !this.isClosing && [...this.#registered.values()].some(({ active }) => active);
  }

  /**
   * Registers in all registries.
   * @throws MicroError what a registry rejects with, unless it is that one is unavailable and
   * another has registered the node.
   */
  async begin(): Promise<void> {
    const { members, options } = this.#parts;
    const stop = listenForAbort(options.signal, (reason) => this.#ended.abort(reason));
    try {
      const works = members.map((member) => this.#track(this.#register(member)));
      const isHopeless = (index: number) => members[index]?.state === "lost";
      const results = await untilAborted(settleSome(works, { isHopeless }), options.signal);
      const errors = results.flatMap((result) =>
        result?.status === "rejected" ? [asMicroError(result.reason, "unavailable")] : [],
      );
      const fatal = errors.find(
        ({ code }) => code !== "unavailable" && code !== "deadline_exceeded",
      );
      if (fatal !== undefined || this.#registered.size === 0) {
        throw fatal ?? errors[0] ?? abortError("the registry is closed");
      }
      this.#begun = true;
      this.resume();
    } catch (error) {
      const closing = this.close();
      // An abort is reported at once; closing then continues on its own.
      if (options.signal?.aborted === true) closing.catch((error) => this.#warn(error));
      else await closing;
      throw error;
    } finally {
      stop();
    }
  }

  /** Stops trying the registries that cannot be reached. */
  pause(): void {
    this.#retries.abort();
  }

  /** Tries them again. */
  resume(): void {
    if (this.isClosing) return;
    this.#retries.abort();
    this.#retries = sharedAbortController();
    for (const member of this.#missing.keys()) this.#retry(member, this.#retries.signal);
  }

  protected override async closeOnce(): Promise<void> {
    this.#ended.abort();
    this.#retries.abort();
    const failures = await settleAll(this.#registered.values(), (each) => each.close());
    // A registration that arrives late closes itself.
    await Promise.allSettled(this.#working);
    this.#parts.onClose();
    if (failures[0] !== undefined) throw asMicroError(failures[0].reason, "unavailable");
  }

  #track(work: Promise<void>): Promise<void> {
    this.#working.add(work);
    const done = () => this.#working.delete(work);
    work.then(done, done);
    return work;
  }

  /** The first attempt. One that fails after the others have registered is repeated. */
  async #register(member: Registry): Promise<void> {
    try {
      await this.#attempt(member, this.#ended.signal);
    } catch (error) {
      this.#missing.set(member, error);
      const { signal } = this.#retries;
      if (this.#begun && !signal.aborted) this.#retry(member, signal);
      throw error;
    }
  }

  async #attempt(member: Registry, signal: AbortSignal): Promise<void> {
    const onTakenOver = () => this.#onTakenOver();
    const options = { ...this.#parts.options, signal, onTakenOver };
    const registration = await member.register(this.node, options);
    if (signal.aborted) {
      await registration.close();
      return;
    }
    this.#registered.set(member, registration);
    this.#missing.delete(member);
  }

  #retry(member: Registry, signal: AbortSignal): void {
    const { logger } = this.#parts;
    const fields = { registry: member.name, service: this.node.service, id: this.node.id };
    const error = this.#missing.get(member);
    logger.warn({ ...fields, error }, "a node is not in one of its registries yet");
    const work = async () => {
      for (let failures = 1; ; failures++) {
        await pauseUntilAborted(backoffMs(retry, failures, Math.random), signal);
        if (signal.aborted) return;
        try {
          await this.#attempt(member, signal);
          if (!signal.aborted) logger.info(fields, "a node is now in a registry that lacked it");
          return;
        } catch (error) {
          this.#missing.set(member, error);
          if (!signal.aborted) logger.debug({ ...fields, error }, "a node cannot be registered");
        }
      }
    };
    void this.#track(work());
  }

  #onTakenOver(): void {
    if (this.isClosing) return;
    this.close().catch((error) => this.#warn(error));
    this.#parts.options.onTakenOver?.();
  }

  #warn(error: unknown): void {
    this.#parts.logger.warn({ service: this.node.service, error }, "a node was not deregistered");
  }
}
