import { MicroError } from "@micro-es/runtime";
import { createTopicsV7, listOffsetsV7, metadataV12 } from "@platformatic/kafka";
import { checkCode, isPassing, kafkaFailure, Refused, refusals } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";

/** A topic of the cluster. */
export interface TopicInfo {
  readonly name: string;
  /** Changes when a topic is deleted and created again. */
  readonly id: string;
  /** The numbers of the brokers that lead its partitions; -1 while none does. */
  readonly leaders: readonly number[];
}

/** How topics are created. */
export interface TopicSettings {
  readonly prefix: string;
  readonly partitions: number;
  /** -1 for the cluster's default. */
  readonly replicas: number;
  readonly maxAgeMs: number;
  readonly maxEventBytes: number;
}

/** Where reading begins: at the end, at the first record, or at the first since a time. */
export const offsetAt = { latest: -1, earliest: -2 } as const;

/** What a record may have in addition to the body of its event, in bytes. */
const overheadBytes = 256 * 1024;
const longestName = 249;
/** Topics whose leaders are remembered. */
const maxKnown = 10_000;
/** For how long they are, in milliseconds: partitions may be added. */
const knownMs = 30_000;
const pollMs = 25;

/** The topics of a fleet: creates them, and finds the leaders of their partitions. */
export class Topics {
  readonly #link: KafkaLink;
  readonly #settings: TopicSettings;
  readonly #known = new Map<string, { readonly info: TopicInfo; readonly until: number }>();
  readonly #finding = new Map<string, Promise<TopicInfo>>();

  constructor(link: KafkaLink, settings: TopicSettings) {
    this.#link = link;
    this.#settings = settings;
  }

  /** The name in Kafka. @throws MicroError `invalid_argument` for one that is too long there. */
  nameOf(topic: string): string {
    const name = `${this.#settings.prefix}.${topic}`;
    if (name.length <= longestName) return name;
    throw new MicroError(
      "invalid_argument",
      `the topic ${topic.slice(0, 64)}… is too long for Kafka: with the fleet it has ${name.length} characters, and ${longestName} are allowed`,
      { outcome: "not-executed" },
    );
  }

  /** The topic, if its leaders are known. */
  peek(topic: string): TopicInfo | undefined {
    const known = this.#known.get(topic);
    return known === undefined || known.until < performance.now() ? undefined : known.info;
  }

  /** Asks for the leaders again at the next use. */
  forget(topic: string): void {
    this.#known.delete(topic);
  }

  /** The topic, which is created unless it exists. */
  async of(topic: string, what: string): Promise<TopicInfo> {
    const known = this.peek(topic);
    if (known !== undefined) return known;
    const finding =
      this.#finding.get(topic) ??
      this.#find(topic, what).finally(() => this.#finding.delete(topic));
    this.#finding.set(topic, finding);
    return finding;
  }

  /** The topic as it is now; undefined if it does not exist. */
  async look(topic: string): Promise<TopicInfo | undefined> {
    const [found] = await this.#ask([this.nameOf(topic)]);
    if (found !== undefined) this.#remember(topic, found);
    return found;
  }

  /** The names of all topics of the fleet. */
  async list(): Promise<readonly string[]> {
    const start = `${this.#settings.prefix}.`;
    const topics = await this.#ask(null);
    return topics.flatMap(({ name }) => (name.startsWith(start) ? [name.slice(start.length)] : []));
  }

  /**
   * An offset in each partition.
   * @param time in milliseconds since 1970, or one of {@link offsetAt}.
   */
  async offsets(topic: string, time: number, what: string): Promise<readonly number[]> {
    const until = performance.now() + this.#link.timeoutMs;
    for (;;) {
      try {
        return await this.#offsets(await this.of(topic, what), time);
      } catch (error) {
        if (!isPassing(error) || performance.now() > until) throw kafkaFailure(error, what);
        this.forget(topic);
        await this.#link.pause(pollMs);
      }
    }
  }

  async #offsets({ name, leaders }: TopicInfo, time: number): Promise<readonly number[]> {
    const found: number[] = leaders.map(() => 0);
    await Promise.all(
      [...new Set(leaders)].map(async (leader) => {
        const connection = await this.#link.node(leader);
        const partitions = leaders.flatMap((each, partitionIndex) =>
          each === leader
            ? [{ partitionIndex, currentLeaderEpoch: -1, timestamp: BigInt(time) }]
            : [],
        );
        const response = await connection.ask(listOffsetsV7.api, -1, 0, [{ name, partitions }]);
        for (const { partitionIndex, errorCode, offset } of response.topics[0]?.partitions ?? []) {
          checkCode(errorCode);
          found[partitionIndex] = Number(offset);
        }
      }),
    );
    if (time < 0 || !found.includes(-1)) return found;
    // Nothing was published since.
    const ends = await this.#offsets({ name, leaders, id: "" }, offsetAt.latest);
    return found.map((offset, index) => (offset === -1 ? (ends[index] ?? 0) : offset));
  }

  async #find(topic: string, what: string): Promise<TopicInfo> {
    const name = this.nameOf(topic);
    const until = performance.now() + this.#link.timeoutMs;
    for (;;) {
      let failure: unknown;
      try {
        const [found] = await this.#ask([name]);
        if (found !== undefined && !found.leaders.includes(-1)) {
          this.#remember(topic, found);
          return found;
        }
        if (found === undefined) await this.#create(name);
        failure = new Refused(refusals.leaderNotAvailable, "not every partition has a leader");
      } catch (error) {
        failure = error;
      }
      if (!isPassing(failure) || performance.now() > until) {
        throw kafkaFailure(failure, what, "not-executed");
      }
      await this.#link.pause(pollMs);
      if (this.#link.closed) throw kafkaFailure(failure, what, "not-executed");
    }
  }

  /** The topics that exist, of these or of all. */
  async #ask(names: string[] | null): Promise<readonly TopicInfo[]> {
    const connection = await this.#link.any();
    const { brokers, topics } = await connection.ask(metadataV12.api, names, false, false);
    this.#link.learn(brokers);
    return topics.flatMap(({ errorCode, name, topicId, partitions }) => {
      if (errorCode === refusals.unknownTopic) return [];
      if (errorCode !== refusals.leaderNotAvailable) checkCode(errorCode);
      const leaders: number[] = partitions.map(() => -1);
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId;
      return [{ name: name ?? "", id: topicId, leaders: leaders.length === 0 ? [-1] : leaders }];
    });
  }

  async #create(name: string): Promise<void> {
    const { partitions, replicas, maxAgeMs, maxEventBytes } = this.#settings;
    const topic = {
      name,
      numPartitions: partitions,
      replicationFactor: replicas,
      assignments: [],
      configs: [
        { name: "retention.ms", value: String(maxAgeMs) },
        { name: "max.message.bytes", value: String(maxEventBytes + overheadBytes) },
      ],
    };
    const connection = await this.#link.any();
    const { timeoutMs } = this.#link;
    const response = await connection.ask(createTopicsV7.api, [topic], timeoutMs, false);
    const { errorCode = 0, errorMessage } = response.topics[0] ?? {};
    if (errorCode !== refusals.topicExists) checkCode(errorCode, errorMessage);
  }

  #remember(topic: string, found: TopicInfo): void {
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.set(topic, { info: found, until: performance.now() + knownMs });
  }
}
