import {
  findCoordinatorV4,
  leaveGroupV4,
  offsetCommitV8,
  offsetFetchV8,
} from "@platformatic/kafka";
import type { KafkaConnection } from "../link/connection.ts";
import { checkCode } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";

/** How far a group has come in a partition. */
export interface CommittedOffset {
  readonly partition: number;
  /** -1 where nothing was committed yet. */
  readonly offset: number;
  readonly text: string;
}

/** Options of a {@link GroupCoordinator}. */
export interface GroupCoordinatorOptions {
  readonly link: KafkaLink;
  readonly group: string;
  /** The topic's name in Kafka. */
  readonly topic: string;
}

const groupKey = 0;

/** The broker that coordinates a consumer group, and has its positions. */
export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions;
  #node: number | undefined;

  constructor(options: GroupCoordinatorOptions) {
    this.#options = options;
  }

  /** Another broker may be the coordinator by now. */
  forget(): void {
    this.#node = undefined;
  }

  /** Opens a connection for requests that the broker holds back. */
  async connect(heldMs: number): Promise<KafkaConnection> {
    return this.#options.link.another(await this.#find(), heldMs);
  }

  /** How far the group has come. */
  async committed(partitions: readonly number[]): Promise<readonly CommittedOffset[]> {
    const { group, topic } = this.#options;
    const connection = await this.#shared();
    const topics = [{ name: topic, partitionIndexes: [...partitions] }];
    const request = [{ groupId: group, memberEpoch: -1, topics }];
    const response = await connection.ask(offsetFetchV8.api, request, true);
    const found = response.groups[0];
    checkCode(found?.errorCode ?? 0);
    return (found?.topics[0]?.partitions ?? []).map((each) => {
      checkCode(each.errorCode);
      const { partitionIndex, committedOffset, metadata } = each;
      return { partition: partitionIndex, offset: Number(committedOffset), text: metadata ?? "" };
    });
  }

  /** Commits for a member. */
  async commit(
    member: string,
    generation: number,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    const { group, topic } = this.#options;
    const connection = await this.#shared();
    const partitions = offsets.map(({ partition, offset, text }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: text,
    }));
    const topics = [{ name: topic, partitions }];
    const request = [group, generation, member, null, topics] as const;
    const response = await connection.ask(offsetCommitV8.api, ...request);
    for (const { errorCode } of response.topics[0]?.partitions ?? []) checkCode(errorCode);
  }

  /** Ends a membership, if the coordinator can be reached. */
  async leave(member: string): Promise<void> {
    const { link, group } = this.#options;
    if (!link.connected || link.closed) return;
    try {
      const connection = await this.#shared();
      await connection.ask(leaveGroupV4.api, group, [{ memberId: member, groupInstanceId: null }]);
    } catch {
      // The group misses its heartbeats, and goes on without it then.
    }
  }

  async #shared(): Promise<KafkaConnection> {
    return this.#options.link.node(await this.#find());
  }

  async #find(): Promise<number> {
    if (this.#node !== undefined) return this.#node;
    const { link, group } = this.#options;
    const connection = await link.any();
    const response = await connection.ask(findCoordinatorV4.api, groupKey, [group]);
    const { errorCode = 0, errorMessage, nodeId = -1 } = response.coordinators[0] ?? {};
    checkCode(errorCode, errorMessage);
    this.#node = nodeId;
    return nodeId;
  }
}
