import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { LinkedSignal } from "../base/linked-signal.ts";
import type { LogLevel } from "../base/logger.ts";
import { checkOptions, countOrNone, text } from "../base/option-check.ts";
import type { Subscription } from "../broker/broker.ts";
import { type LogsRequest, LogLevel as Numbered } from "../gen/micro/debug/v1/debug_pb.ts";
import { CallMeters, type MethodSummary } from "./call-meters.ts";
import type { Debug, DebuggedService } from "./debug.ts";
import { DebugAccess } from "./debug-access.ts";
import { logsMethod, statsMethod } from "./debug-methods.ts";
import { type LogQuery, LogRing } from "./log-ring.ts";
import { MeteredDispatcher } from "./metered-dispatcher.ts";
import { ProcessMeter } from "./process-meter.ts";

export { logsMethod, statsMethod } from "./debug-methods.ts";

/** Options for a {@link debugService}. */
export interface DebugServiceOptions {
  /** Number of log lines kept, of at most 4 MiB in total; 0 disables logs. Default 1,000. */
  readonly logLines?: number;
  /**
   * Token that callers must send, as `authorization: Bearer …`. Default `MICRO_DEBUG_TOKEN`.
   * Without one, the service responds only while all its listeners are on loopback addresses or
   * unix sockets, and never to a call that came through a proxy.
   */
  readonly token?: string;
}

/**
 * Reports a service's statistics and logs on the port that it listens on:
 * `micro.debug.v1.DebugService` returns the calls, errors and latencies of each method, the
 * resources used by the process, and the last lines of the log. `micro stats` and `micro logs` call
 * it. To enable it: `createService({ name: "greeter", debug: debugService() })`.
 *
 * Callers need its {@link DebugServiceOptions.token | token} if other machines can reach the
 * service, because they can read everything written to `service.logger`. The overhead of each call
 * is two readings of the clock and one small object.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { debugService } from "@micro-es/runtime/debug";
 *
 * const service = createService({ name: "greeter", debug: debugService() });
 * ```
 */
export function debugService(options: DebugServiceOptions = {}): Debug {
  checkOptions("debugService", options, { logLines: countOrNone, token: text });
  const { logLines = 1_000 } = options;
  const meters = new CallMeters();
  const ring = new LogRing(logLines);
  const meter = new ProcessMeter();
  const close = async () => meter.close();
  return {
    logger: (logger, level) => (logLines === 0 ? logger : ring.before(logger, level)),
    token: (ofEnvironment) => options.token ?? ofEnvironment,
    dispatcher: (dispatcher) => new MeteredDispatcher(dispatcher, meters),
    register(service) {
      const { server } = service;
      const access = new DebugAccess(service, options.token ?? service.debugToken);
      server.unary(statsMethod, (_request, context) => {
        access.check(context);
        return {
          process: processOf(service, meter),
          methods: server.methods.map((method) => statsOf(meters.of(method).summary)),
          subscriptions: server.subscriptions.map(subscriptionOf),
        };
      });
      if (logLines === 0) return;
      server.serverStream(logsMethod, async function* (request, context) {
        access.check(context);
        const { signal } = context;
        const until = new LinkedSignal(signal, server.draining);
        try {
          for await (const record of ring.read(queryOf(request), until.signal)) {
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
        } finally {
          until.release();
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
