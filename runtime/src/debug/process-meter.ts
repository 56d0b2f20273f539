import { hostname } from "node:os";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How this process does. Times in milliseconds, memory in bytes. */
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
  /** Time over which the rest is told. */
  readonly intervalMs: number;
  /** Processor time as a part of the interval; 1 is one core. */
  readonly cpu: number;
  readonly eventLoopDelayP50Ms: number;
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
  /** Part of the interval in which the event loop did something. */
  readonly eventLoopUtilization: number;
}

/** An interval is told of to all who ask, and begins anew with the question after this time. */
const intervalMs = 60_000;
/** How often the delay of the event loop is looked at; what it tells includes this. */
const resolutionMs = 10;

interface Interval {
  readonly beganAt: number;
  readonly cpu: NodeJS.CpuUsage;
  readonly utilization: ReturnType<typeof performance.eventLoopUtilization>;
}

/** Looks at this process from its making until it is closed. */
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

/** What the histogram measured, in nanoseconds, without the time that it waited on purpose. */
function lateness(nanos: number): number {
  return Number.isFinite(nanos) ? Math.max(0, nanos / 1e6 - resolutionMs) : 0;
}
