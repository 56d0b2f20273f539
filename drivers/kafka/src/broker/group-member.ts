import { type Logger, MicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs, pauseUntilAborted, untilAborted } from "@micro-es/runtime/driver";
import { heartbeatV4, joinGroupV7, syncGroupV5 } from "@platformatic/kafka";
import type { KafkaConnection } from "../link/connection.ts";
import { checkCode, isPassing, kafkaFailure, refusalOf, refusals } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";
import {
  assign,
  decodeAssignment,
  decodeMember,
  encodeAssignment,
  encodeMembership,
  type Membership,
} from "./assignment.ts";
import { type CommittedOffset, GroupCoordinator } from "./group-coordinator.ts";

/** The reader that a membership is for. */
export interface GroupMemberHost {
  /** What the leader of the group is told. */
  membership(): Omit<Membership, "generation">;
  /** The number of partitions of the topic. */
  partitions(): Promise<number>;
  /** The offsets at which a new group begins, by partition. */
  start(): Promise<readonly number[]>;
  /** The partitions that this member has from now on. */
  assigned(partitions: readonly number[]): Promise<void>;
  /** The group goes on without this member, so others may have its partitions. */
  expelled(): void;
}

/** Options of a {@link GroupMember}. */
export interface GroupMemberOptions {
  readonly link: KafkaLink;
  readonly logger: Logger;
  readonly group: string;
  /** The topic's name in Kafka. */
  readonly topic: string;
  readonly sessionTimeoutMs: number;
  readonly host: GroupMemberHost;
}

const protocol = "micro";
const protocolType = "consumer";
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.5 };
const longestHeartbeatMs = 1_000;
const pollMs = 25;
/** The leader looks for new partitions at this interval, in milliseconds. */
const lookMs = 10_000;

/** Attempts to commit while the group has another generation or coordinator each time. */
const mostCommits = 20;

/** The group goes on without the member, so others may have its partitions. */
export class Expelled extends Error {
  override readonly name = "Expelled";

  constructor() {
    super("the group goes on without this member");
  }
}

/** One member of a consumer group: joins it, stays in it and commits for it. */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #closing = new AbortController();
  #wake = new AbortController();
  readonly #coordinator: GroupCoordinator;
  #connection: KafkaConnection | undefined;
  #id = "";
  #generation = -1;
  /** How often the group went on without this member. */
  #memberships = 0;
  /** Resolves when the member is in a generation, while it is in none. */
  #joining: Promise<void> | undefined;
  #joined: () => void = () => {};
  #isLeader = false;
  #partitions = 0;
  #mustJoin = true;
  #beginning: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();

  constructor(options: GroupMemberOptions) {
    this.#options = options;
    this.#coordinator = new GroupCoordinator(options);
    this.#startJoining();
  }

  /** Resolves when the group has this member, and a position in each partition. */
  begin(): Promise<void> {
    this.#beginning = this.#begin();
    return this.#beginning;
  }

  async #begin(): Promise<void> {
    const { link, group } = this.#options;
    const what = `join the group ${group}`;
    const until = performance.now() + 2 * link.timeoutMs + this.#options.sessionTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        await this.#join();
        break;
      } catch (error) {
        const waitMs = backoffMs(backoff, failures, Math.random);
        const isOver = this.#isClosed || link.closed || performance.now() + waitMs > until;
        if (isOver || !this.#recover(error)) throw kafkaFailure(error, what);
        await this.#pause(waitMs);
      }
    }
    this.#running = this.#run();
  }

  /** How far the group has come. */
  committed(partitions: readonly number[]): Promise<readonly CommittedOffset[]> {
    return this.#coordinator.committed(partitions);
  }

  /** Joins again, because what the leader should know has changed. */
  rejoin(): void {
    this.#mustJoin = true;
    this.#wake.abort();
  }

  /**
   * Commits offsets for the group.
   * @throws Expelled if the group goes on without this member; otherwise it can be tried again.
   */
  async commit(offsets: readonly CommittedOffset[]): Promise<void> {
    const memberships = this.#memberships;
    for (let failures = 1; ; failures++) {
      await this.#whileJoining();
      if (this.#memberships !== memberships) throw new Expelled();
      const generation = this.#generation;
      try {
        await this.#coordinator.commit(this.#id, generation, offsets);
        return;
      } catch (error) {
        if (this.#memberships !== memberships) throw new Expelled();
        const code = refusalOf(error);
        const isOver = code === refusals.unknownMember || code === refusals.illegalGeneration;
        const isBetween = this.#joining !== undefined || this.#generation !== generation;
        if (isOver && !isBetween) {
          this.#expel(code === refusals.unknownMember);
          throw new Expelled();
        }
        if (code === refusals.rebalanceInProgress) this.rejoin();
        else if (code !== undefined && !isOver) this.#coordinator.forget();
        const mayPass = isOver || code === refusals.rebalanceInProgress || isPassing(error);
        if (!mayPass || failures > mostCommits) throw error;
        await this.#pause(pollMs);
      }
    }
  }

  /** Leaves the group, whose other members get the partitions at once. */
  async leave(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    // A join waits for the others.
    if (this.#joining !== undefined) this.#connection?.close();
    await this.#beginning.catch(() => {});
    await this.#running;
    if (this.#id !== "") await this.#coordinator.leave(this.#id);
    this.#connection?.close();
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #run(): Promise<void> {
    const { link, logger, group } = this.#options;
    for (let failures = 0; !this.#isClosed; ) {
      try {
        if (this.#mustJoin) await this.#join();
        failures = 0;
        await this.#stay();
      } catch (error) {
        if (this.#isClosed || link.closed) break;
        const level = this.#recover(error) || !link.connected ? "debug" : "error";
        logger[level]({ queue: group, error }, "a member cannot stay in its group; trying again");
        await this.#pause(backoffMs(backoff, ++failures, Math.random));
      }
    }
  }

  /** Sends heartbeats until another generation is to begin. */
  async #stay(): Promise<void> {
    const { sessionTimeoutMs, host } = this.#options;
    const heartbeatMs = Math.min(longestHeartbeatMs, sessionTimeoutMs / 10);
    let looksAt = performance.now() + lookMs;
    while (!this.#isClosed && !this.#mustJoin) {
      this.#wake = new AbortController();
      await pauseUntilAborted(heartbeatMs, this.#wake.signal);
      if (this.#isClosed || this.#mustJoin) break;
      const beat = await this.#beat();
      if (beat === refusals.rebalanceInProgress) this.#mustJoin = true;
      else checkCode(beat);
      if (!this.#isLeader || performance.now() < looksAt) continue;
      looksAt = performance.now() + lookMs;
      if ((await host.partitions()) !== this.#partitions) this.#mustJoin = true;
    }
  }

  /** @returns the code of the response. */
  async #beat(): Promise<number> {
    const { link, group } = this.#options;
    const connection = await this.#connect();
    // The connection itself is patient, because of joins.
    const silence = new Error("no response to a heartbeat");
    const timer = setTimeout(() => connection.close(silence), link.timeoutMs);
    try {
      const request = [group, this.#generation, this.#id, null] as const;
      return (await connection.ask(heartbeatV4.api, ...request)).errorCode;
    } finally {
      clearTimeout(timer);
    }
  }

  async #join(): Promise<void> {
    const { group, sessionTimeoutMs, host, topic } = this.#options;
    this.#startJoining();
    this.#mustJoin = false;
    const connection = await this.#connect();
    const generation = this.#generation;
    const metadata = encodeMembership(topic, { ...host.membership(), generation });
    const join = () =>
      connection.ask(
        joinGroupV7.api,
        group,
        sessionTimeoutMs,
        sessionTimeoutMs,
        this.#id,
        null,
        protocolType,
        [{ name: protocol, metadata }],
        null,
      );
    let response = await join();
    if (response.errorCode === refusals.memberIdRequired) {
      this.#id = response.memberId ?? "";
      response = await join();
    }
    checkCode(response.errorCode);
    this.#id = response.memberId ?? "";
    this.#generation = response.generationId;
    this.#isLeader = response.leader === this.#id;
    const assignments = this.#isLeader
      ? await this.#assignments(
          response.members.map((m) => decodeMember(topic, m.memberId, m.metadata)),
        )
      : [];
    const sync = await connection.ask(
      syncGroupV5.api,
      group,
      this.#generation,
      this.#id,
      null,
      protocolType,
      protocol,
      assignments,
    );
    checkCode(sync.errorCode);
    await this.#settlePositions();
    await host.assigned(decodeAssignment(topic, sync.assignment));
    this.#endJoining();
  }

  async #assignments(
    members: Parameters<typeof assign>[0],
  ): Promise<{ memberId: string; assignment: Buffer }[]> {
    const { host, topic } = this.#options;
    this.#partitions = await host.partitions();
    return [...assign(members, this.#partitions)].map(([memberId, partitions]) => ({
      memberId,
      assignment: encodeAssignment(topic, partitions),
    }));
  }

  /**
   * Gives the group a position in each partition, or waits until its leader has. Otherwise events
   * that are published before the first one of a partition is handled could be missed.
   */
  async #settlePositions(): Promise<void> {
    const { host, link } = this.#options;
    const until = performance.now() + link.timeoutMs;
    for (;;) {
      const all = Array.from({ length: await host.partitions() }, (_, index) => index);
      const missing = (await this.#coordinator.committed(all)).filter(({ offset }) => offset < 0);
      if (missing.length === 0) return;
      if (this.#isLeader) {
        const starts = await host.start();
        const offsets = missing.map(({ partition }) => ({
          partition,
          offset: starts[partition] ?? 0,
          text: "",
        }));
        await this.#coordinator.commit(this.#id, this.#generation, offsets);
        return;
      }
      if (performance.now() > until || this.#isClosed) {
        throw new MicroError("unavailable", "the leader of the group does not begin");
      }
      await this.#pause(pollMs);
    }
  }

  /** Prepares another attempt; false for an error that another attempt does not help. */
  #recover(error: unknown): boolean {
    const code = refusalOf(error);
    this.#mustJoin = true;
    if (code === refusals.unknownMember || code === refusals.illegalGeneration) {
      this.#expel(code === refusals.unknownMember);
      return true;
    }
    if (code === refusals.rebalanceInProgress) return true;
    this.#coordinator.forget();
    this.#connection?.close();
    return isPassing(error) || (error instanceof MicroError && error.code === "unavailable");
  }

  #expel(forgetsId: boolean): void {
    if (forgetsId) this.#id = "";
    this.#generation = -1;
    this.#memberships++;
    this.#startJoining();
    this.#options.host.expelled();
    this.rejoin();
  }

  #startJoining(): void {
    this.#joining ??= new Promise((resolve) => {
      this.#joined = resolve;
    });
  }

  #endJoining(): void {
    this.#joining = undefined;
    this.#joined();
  }

  /** Resolves when the member is in a generation. @throws MicroError if that takes too long. */
  async #whileJoining(): Promise<void> {
    if (this.#joining === undefined) return;
    const { link, group } = this.#options;
    const message = `the group ${group} has no generation at the moment`;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), link.connected ? link.timeoutMs : 0);
    try {
      await untilAborted(this.#joining, [limit.signal, this.#closing.signal], {
        error: () => new MicroError("unavailable", message, { outcome: "not-executed" }),
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** A connection of its own: joins are held back until the others have joined. */
  async #connect(): Promise<KafkaConnection> {
    if (this.#connection?.isOpen === true) return this.#connection;
    const connection = await this.#coordinator.connect(2 * this.#options.sessionTimeoutMs);
    if (this.#isClosed) connection.close();
    this.#connection = connection;
    return connection;
  }

  #pause(ms: number): Promise<void> {
    return pauseUntilAborted(ms, this.#closing.signal);
  }
}
