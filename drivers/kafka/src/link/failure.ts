import { type Code, MicroError, type Outcome } from "@micro-es/runtime";
import { protocolErrors, protocolErrorsCodesById } from "@platformatic/kafka";

/** Errors of the protocol that are told apart. */
export const refusals = {
  offsetOutOfRange: 1,
  unknownTopic: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  topicExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  kafkaStorage: 56,
  unknownProducer: 59,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  memberIdRequired: 79,
  unknownTopicId: 100,
} as const;

/** What passes by itself once the cluster has another leader, coordinator or replica. */
const passing: ReadonlySet<number> = new Set([
  refusals.unknownTopic,
  refusals.leaderNotAvailable,
  refusals.notLeader,
  refusals.requestTimedOut,
  refusals.coordinatorLoading,
  refusals.coordinatorNotAvailable,
  refusals.notCoordinator,
  refusals.notEnoughReplicas,
  refusals.notEnoughReplicasAfterAppend,
  refusals.kafkaStorage,
  refusals.fencedLeaderEpoch,
  refusals.unknownLeaderEpoch,
  refusals.unknownTopicId,
]);

/** Refusals that say nothing about whether other replicas have what was sent. */
const undecided: ReadonlySet<number> = new Set([
  refusals.requestTimedOut,
  refusals.notEnoughReplicasAfterAppend,
  refusals.outOfOrderSequence,
  refusals.unknownProducer,
]);

const codes: Readonly<Record<string, readonly [Code, hint?: string]>> = {
  TOPIC_AUTHORIZATION_FAILED: ["permission_denied", "its access control does not allow that"],
  GROUP_AUTHORIZATION_FAILED: ["permission_denied", "its access control does not allow that"],
  CLUSTER_AUTHORIZATION_FAILED: ["permission_denied", "its access control does not allow that"],
  SASL_AUTHENTICATION_FAILED: ["unauthenticated"],
  MESSAGE_TOO_LARGE: ["resource_exhausted", "raise max.message.bytes of the topic"],
  RECORD_LIST_TOO_LARGE: ["resource_exhausted", "raise max.message.bytes of the topic"],
  THROTTLING_QUOTA_EXCEEDED: ["resource_exhausted"],
  INVALID_TOPIC_EXCEPTION: [
    "invalid_argument",
    'to Kafka, "." and "_" in names of topics are the same character',
  ],
  INVALID_REPLICATION_FACTOR: ["failed_precondition", "the cluster has too few brokers"],
  POLICY_VIOLATION: ["failed_precondition"],
  INCONSISTENT_GROUP_PROTOCOL: [
    "failed_precondition",
    "consumers of another program use the group; choose another fleet or queue",
  ],
  INVALID_SESSION_TIMEOUT: [
    "failed_precondition",
    "the broker's group.min.session.timeout.ms and group.max.session.timeout.ms do not allow sessionTimeoutMs",
  ],
};

/** Marks what was not sent. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** The connection ended, or was closed because the broker did not respond. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** The broker's error for a request, or for a part of one. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly code: number;
  /** Such as `NOT_LEADER_OR_FOLLOWER`. */
  readonly id: string;

  constructor(code: number, detail?: string | null) {
    const id = protocolErrorsCodesById[code] ?? `error ${code}`;
    super(detail ?? protocolErrors[id]?.message ?? id);
    this.code = code;
    this.id = id;
  }
}

/** @throws Refused unless the code is 0. */
export function checkCode(code: number, detail?: string | null): void {
  if (code !== 0) throw new Refused(code, detail);
}

/** The code of the broker's refusal; undefined for any other error. */
export function refusalOf(error: unknown): number | undefined {
  return error instanceof Refused ? error.code : undefined;
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Refused) return passing.has(error.code);
  return error instanceof ConnectionLost || error instanceof NotSent;
}

/** Whether a request may have been carried out although it failed with this error. */
export function mayBeDone(error: unknown): boolean {
  if (error instanceof Refused) return undecided.has(error.code);
  if (error instanceof MicroError) return error.outcome !== "not-executed";
  return !(error instanceof NotSent);
}

/** Converts an error into a MicroError that names the attempted operation. */
export function kafkaFailure(
  error: unknown,
  what: string,
  outcome: Outcome = mayBeDone(error) ? "unknown" : "not-executed",
): MicroError {
  if (error instanceof MicroError) return error;
  const { message } = error as Error;
  if (!(error instanceof Refused)) {
    const isLost = error instanceof NotSent || error instanceof ConnectionLost;
    const code = isLost ? "unavailable" : "internal";
    return new MicroError(code, `cannot ${what}: ${message}`, { cause: error, outcome });
  }
  const [code, hint] = codes[error.id] ?? [isPassing(error) ? "unavailable" : "internal"];
  const help = hint === undefined ? "" : ` (${hint})`;
  const said = `Kafka says ${error.id}, ${message.slice(0, 300)}`;
  return new MicroError(code, `cannot ${what}: ${said}${help}`, { cause: error, outcome });
}
