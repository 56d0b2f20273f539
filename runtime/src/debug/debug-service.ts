import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Subscription } from "../broker/broker.ts";
import { type LogsRequest, LogLevel as Numbered } from "../gen/micro/debug/v1/debug_pb.ts";
import type { LogLevel } from "../logger.ts";
import { CallMeters, type MethodSummary } from "./call-meters.ts";
import type { Debug, DebuggedService } from "./debug.ts";
import { logsMethod, statsMethod } from "./debug-methods.ts";
import { type LogQuery, LogRing } from "./log-ring.ts";
import { MeteredDispatcher } from "./metered-dispatcher.ts";
import { ProcessMeter } from "./process-meter.ts";

export { logsMethod, statsMethod } from "./debug-methods.ts";

/** What a {@link debugService} keeps. */
export interface DebugServiceOptions {
  /** Lines of the log that are kept, of 4 MiB at most; 0 tells nobody of any. Default 1,000. */
  readonly logLines?: number;
}

/**
 * Lets a service tell how it does, on the port that it listens at: `micro.debug.v1.DebugService` has the calls, errors and
 * times of each method, what the process takes, and the last lines of the log. `micro stats` and `micro logs` ask it:
 * `createService({ name: "greeter", debug: debugService() })`.
 *
 * Whoever can call the service can ask, and reads what `service.logger` was given. Each call costs two looks at the
 * clock and one small object.
 */
export function debugService(options: DebugServiceOptions = {}): Debug {
  const { logLines = 1_000 } = options;
  const meters = new CallMeters();
  const ring = new LogRing(logLines);
  const meter = new ProcessMeter();
  const close = async () => meter.close();
  return {
    logger: (logger, level) => (logLines === 0 ? logger : ring.before(logger, level)),
    dispatcher: (dispatcher) => new MeteredDispatcher(dispatcher, meters),
    register(service) {
      const { server } = service;
      server.unary(statsMethod, () => ({
        process: processOf(service, meter),
        methods: server.methods.map((method) => statsOf(meters.of(method).summary)),
        subscriptions: server.subscriptions.map(subscriptionOf),
      }));
      if (logLines === 0) return;
      server.serverStream(logsMethod, async function* (request, { signal }) {
        const until = AbortSignal.any([signal, server.draining]);
        for await (const record of ring.read(queryOf(request), until)) {
          const { sequence, missed, time, level, message, fields } = record;
          yield {
            sequence: BigInt(sequence),
            missed: BigInt(missed),
            time: timestampFromDate(time),
            level: numbers[level],
            message,
            fields,
          };
        }
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const numbers: Readonly<Record<LogLevel, Numbered>> = {
  debug: Numbered.DEBUG,
  info: Numbered.INFO,
  warn: Numbered.WARN,
  error: Numbered.ERROR,
  silent: Numbered.UNSPECIFIED,
};

function queryOf(request: LogsRequest): LogQuery {
  const [level = "debug"] = (Object.keys(numbers) as LogLevel[]).filter(
    (name) => request.level !== Numbered.UNSPECIFIED && numbers[name] === request.level,
  );
  return {
    tail: request.tail ?? Number.POSITIVE_INFINITY,
    follow: request.follow,
    level,
    notBefore: new Date(request.maxAgeMs > 0 ? Date.now() - request.maxAgeMs : 0),
    after: Number(request.after),
  };
}

function processOf({ name, version, nodeId }: DebuggedService, meter: ProcessMeter) {
  const { started, rssBytes, heapUsedBytes, heapTotalBytes, externalBytes, ...others } =
    meter.read();
  return {
    service: name,
    version,
    nodeId,
    started: timestampFromDate(started),
    rssBytes: BigInt(rssBytes),
    heapUsedBytes: BigInt(heapUsedBytes),
    heapTotalBytes: BigInt(heapTotalBytes),
    externalBytes: BigInt(externalBytes),
    ...others,
  };
}

function statsOf({ method, calls, errors, inFlight, latency }: MethodSummary) {
  const { count, ...times } = latency;
  return {
    method,
    calls: BigInt(calls),
    errors: Object.fromEntries(Array.from(errors, ([code, times]) => [code, BigInt(times)])),
    inFlight,
    latency: { count: BigInt(count), ...times },
  };
}

function subscriptionOf({ topic, queue = "", stats }: Subscription) {
  const { delivered, failed, rejected, dropped, inFlight, pending } = stats;
  return {
    topic,
    queue,
    delivered: BigInt(delivered),
    failed: BigInt(failed),
    rejected: BigInt(rejected),
    dropped: BigInt(dropped),
    inFlight,
    pending,
  };
}
