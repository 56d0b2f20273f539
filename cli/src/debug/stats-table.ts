import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  ProcessStatsSchema,
  type StatsResponse,
} from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";
import type { Output } from "../output.ts";
import { isInfrastructure } from "../schema/find-method.ts";
import { joined, type RichText } from "../text.ts";
import type { Endpoint } from "./endpoints.ts";

/** Statistics of a process, and when they were taken, on the monotonic clock. */
export interface TakenStats {
  readonly endpoint: Endpoint;
  readonly stats: StatsResponse;
  readonly takenAt: number;
}

/** As JSON: numbers in place of 64-bit integers. */
export function statsJson({ endpoint, stats }: TakenStats, all: boolean) {
  const { service, version, nodeId, started, ...figures } =
    stats.process ?? create(ProcessStatsSchema);
  return {
    service,
    version,
    node: nodeId,
    address: endpoint.address,
    process: numbered({ ...figures, started: started && timestampDate(started).toISOString() }),
    methods: shownMethods(stats, all).map(numbered),
    subscriptions: stats.subscriptions.map(numbered),
  };
}

/**
 * Tables with a row for each process, for each method of each process, and for each subscribed
 * topic.
 */
export function statsTables(
  taken: readonly TakenStats[],
  before: ReadonlyMap<string, TakenStats>,
  all: boolean,
  output: Output,
): RichText {
  const processes = taken.map(({ endpoint, stats }) => {
    const { process } = stats;
    return [
      process?.service ?? "",
      process?.version ?? "",
      endpoint.address,
      timeText(process?.uptimeMs ?? 0),
      `${((process?.cpu ?? 0) * 100).toFixed(1)} %`,
      `${Math.round(Number(process?.rssBytes ?? 0) / 2 ** 20)} MiB`,
      msText(process?.eventLoopDelayP99Ms ?? 0),
      process?.nodeVersion ?? "",
      process?.nodeId ?? "",
    ];
  });
  const rates = before.size > 0;
  const methods = taken.flatMap((each) =>
    shownMethods(each.stats, all).map(({ method, calls, errors, inFlight, latency }) => {
      const recent = latency !== undefined && latency.count > 0n;
      const rate = rates ? [rateText(each, before.get(each.endpoint.address), method)] : [];
      return [
        each.endpoint.address,
        method,
        String(calls),
        ...rate,
        errorsText(errors),
        String(inFlight),
        recent ? msText(latency.p50Ms) : "-",
        recent ? msText(latency.p99Ms) : "-",
      ];
    }),
  );
  const methodHeadings = ["ADDRESS", "METHOD", "CALLS", ...(rates ? ["CALLS/S"] : [])];
  const subscriptions = taken.flatMap(({ endpoint, stats }) =>
    stats.subscriptions.map(({ topic, queue, ...counts }) => [
      endpoint.address,
      topic,
      queue,
      ...[counts.delivered, counts.failed, counts.rejected, counts.dropped].map(String),
      ...[counts.inFlight, counts.pending].map(String),
    ]),
  );
  const topicHeadings = ["ADDRESS", "TOPIC", "QUEUE", "DELIVERED", "FAILED", "REJECTED", "DROPPED"];
  const tables = [
    output.table(
      ["SERVICE", "VERSION", "ADDRESS", "UP", "CPU", "MEMORY", "LOOP P99", "NODE.JS", "NODE"],
      processes,
    ),
    output.table([...methodHeadings, "ERRORS", "IN FLIGHT", "P50", "P99"], methods),
  ];
  if (subscriptions.length > 0) {
    tables.push(output.table([...topicHeadings, "IN FLIGHT", "PENDING"], subscriptions));
  }
  return joined(tables, "\n\n");
}

function shownMethods({ methods }: StatsResponse, all: boolean) {
  return all ? methods : methods.filter(({ method }) => !isInfrastructure(method));
}

function errorsText(errors: Readonly<Record<string, bigint>>): string {
  const codes = Object.entries(errors);
  const sum = codes.reduce((all, [, count]) => all + count, 0n);
  if (sum === 0n) return "0";
  return `${sum} (${codes.map(([code, count]) => `${code} ${count}`).join(", ")})`;
}

function rateText(now: TakenStats, before: TakenStats | undefined, name: string): string {
  const callsOf = ({ stats }: TakenStats) =>
    Number(stats.methods.find(({ method }) => method === name)?.calls ?? 0n);
  if (before === undefined) return "-";
  // A process that restarted at the same address counts from zero.
  const calls = Math.max(0, callsOf(now) - callsOf(before));
  return ((calls / (now.takenAt - before.takenAt)) * 1_000).toFixed(1);
}

function msText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function timeText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  const hours = Math.floor(seconds / 3_600);
  return hours < 72 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** The same with numbers in place of bigints, and without names of messages. */
function numbered(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => name !== "$typeName");
  return Object.fromEntries(entries.map(([name, each]) => [name, numbered(each)]));
}
