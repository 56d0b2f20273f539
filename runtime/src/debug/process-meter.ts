import { hostname } from "node:os";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** Statistics of this process. Times in milliseconds, memory in bytes. */
export interface ProcessSummary {
  readonly host: string;
  readonly pid: number;
  readonly nodeVersion: string;
  readonly started: Date;
  readonly uptimeMs: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
  /** The interval that the other values cover. */
  readonly intervalMs: number;
  /** CPU time as a fraction of the interval; 1 is one core. */
  readonly cpu: number;
  readonly eventLoopDelayP50Ms: number;
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
  /** Fraction of the interval in which the event loop was active. */
  readonly eventLoopUtilization: number;
}

/** All callers see the same interval; the first call after this time starts a new one. */
const intervalMs = 60_000;
/** Sampling interval of the event loop delay; the measured values include it. */
const resolutionMs = 10;

interface Interval {
  readonly beganAt: number;
  readonly cpu: NodeJS.CpuUsage;
  readonly utilization: ReturnType<typeof performance.eventLoopUtilization>;
}

/** Measures this process from construction until it is closed. */
export class ProcessMeter {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  #interval: Interval = beginInterval();

  constructor() {
    this.#delay.enable();
  }

  read(): ProcessSummary {
    const { beganAt, cpu, utilization } = this.#interval;
    const spent = process.cpuUsage(cpu);
    const tookMs = performance.now() - beganAt;
    const memory = process.memoryUsage();
    const summary = {
      host: hostname(),
      pid: process.pid,
      nodeVersion: process.version,
      started: new Date(performance.timeOrigin),
      uptimeMs: performance.now(),
      rssBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      heapTotalBytes: memory.heapTotal,
      externalBytes: memory.external,
      intervalMs: tookMs,
      cpu: (spent.user + spent.system) / 1_000 / tookMs,
      eventLoopDelayP50Ms: lateness(this.#delay.percentile(50)),
      eventLoopDelayP99Ms: lateness(this.#delay.percentile(99)),
      eventLoopDelayMaxMs: lateness(this.#delay.max),
      eventLoopUtilization: performance.eventLoopUtilization(utilization).utilization,
    };
    if (tookMs >= intervalMs) {
      this.#interval = beginInterval();
      this.#delay.reset();
    }
    return summary;
  }

  close(): void {
    this.#delay.disable();
  }
}

function beginInterval(): Interval {
  return {
    beganAt: performance.now(),
    cpu: process.cpuUsage(),
    utilization: performance.eventLoopUtilization(),
  };
}

/** Converts a measured delay in nanoseconds, without the sampling interval. */
function lateness(nanos: number): number {
  return Number.isFinite(nanos) ? Math.max(0, nanos / 1e6 - resolutionMs) : 0;
}
