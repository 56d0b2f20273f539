import type { Suite } from "./contender.ts";
import type { Row } from "./table.ts";

/** A figure to reach, as a ratio within one run: the machine's own speed varies by the hour. */
export interface Goal<R = Row> {
  readonly what: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Undefined if a required contender did not run. */
  measure(rows: readonly R[]): number | undefined;
}

type Cell = readonly [suite: Suite, bytes: number, inFlight: number];
type Figure = "perSecond" | "cpuUsPerOperation" | "p50Us" | "p99Us";

/** A goal for contenders, with the measurements that it requires. */
interface ContenderGoal extends Goal {
  readonly needs: readonly (readonly [contender: string, cell: Cell])[];
}

const events: Cell = ["publish", 128, 1];

const small = (inFlight: number): Cell => ["unary", 64, inFlight];

function find(rows: readonly Row[], contender: string, [suite, bytes, inFlight]: Cell) {
  return rows.find(
    (row) =>
      row.contender === contender &&
      row.suite === suite &&
      row.bytes === bytes &&
      row.inFlight === inFlight,
  );
}

/** The ratio of the throughputs of two contenders. */
function faster(
  ours: string,
  theirs: string,
  cell: Cell,
  theirCell: Cell = cell,
): Pick<ContenderGoal, "needs" | "measure"> {
  return {
    needs: [
      [ours, cell],
      [theirs, theirCell],
    ],
    measure(rows) {
      const one = find(rows, ours, cell);
      const other = find(rows, theirs, theirCell);
      return one === undefined || other === undefined ? undefined : one.perSecond / other.perSecond;
    },
  };
}

/** One figure of a contender, or its ratio to another one's. */
function figure(
  contender: string,
  cell: Cell,
  name: Figure,
  to?: Figure,
): Pick<ContenderGoal, "needs" | "measure"> {
  return {
    needs: [[contender, cell]],
    measure(rows) {
      const row = find(rows, contender, cell);
      return row === undefined ? undefined : row[name] / (to === undefined ? 1 : row[to]);
    },
  };
}

/** The goals of gRPC, and of Connect over HTTP/2, between our client and our server. */
export const grpcGoals: readonly ContenderGoal[] = [
  {
    what: "gRPC, 128 in flight, times grpc-js",
    atLeast: 25,
    ...faster("micro-es-grpc", "grpc-js", small(128)),
  },
  {
    what: "gRPC, 16 in flight, times grpc-js",
    atLeast: 15,
    ...faster("micro-es-grpc", "grpc-js", small(16)),
  },
  {
    what: "Connect over HTTP/2, 128 in flight, times grpc-js",
    atLeast: 25,
    ...faster("micro-es-connect", "grpc-js", small(128)),
  },
  {
    what: "Connect over HTTP/2, 16 in flight, times grpc-js",
    atLeast: 15,
    ...faster("micro-es-connect", "grpc-js", small(16)),
  },
  {
    what: "gRPC, server streaming, times grpc-js",
    atLeast: 10,
    ...faster("micro-es-grpc", "grpc-js", ["download", 64, 1]),
  },
  ...[128, 16].map((inFlight) => ({
    what: `gRPC client to a grpc-go server, ${inFlight} in flight, times grpc-js' client`,
    atLeast: 5,
    ...faster("micro-es-to-grpc-go", "grpc-js-to-grpc-go", small(inFlight)),
  })),
  {
    what: "gRPC client to a grpc-go server, server streaming, times grpc-js' client",
    atLeast: 10,
    ...faster("micro-es-to-grpc-go", "grpc-js-to-grpc-go", ["download", 64, 1]),
  },
];

/** The goals of the native transport, of gRPC and of events. */
export const goals: readonly ContenderGoal[] = [
  {
    what: "128 in flight, times grpc-js",
    atLeast: 100,
    ...faster("micro-es", "grpc-js", small(128)),
  },
  {
    what: "16 in flight, times grpc-js",
    atLeast: 50,
    ...faster("micro-es", "grpc-js", small(16)),
  },
  {
    what: "1 in flight, times grpc-js",
    atLeast: 5,
    ...faster("micro-es", "grpc-js", small(1)),
  },
  {
    what: "128 in flight, times Moleculer",
    atLeast: 10,
    ...faster("micro-es", "moleculer-tcp", small(128)),
  },
  {
    what: "128 in flight, times NestJS",
    atLeast: 10,
    ...faster("micro-es", "nest-tcp", small(128)),
  },
  {
    what: "128 in flight, of raw TCP, one write a tick",
    atLeast: 0.45,
    ...faster("micro-es", "raw-tcp", small(128)),
  },
  {
    what: "1 in flight, of raw TCP",
    atLeast: 0.7,
    ...faster("micro-es", "raw-tcp-plain", small(1)),
  },
  {
    what: "p99 at 128, times p50",
    atMost: 4,
    ...figure("micro-es", small(128), "p99Us", "p50Us"),
  },
  {
    what: "everything on, 128 in flight, times grpc-js",
    atLeast: 80,
    ...faster("micro-es-all-on", "grpc-js", small(128)),
  },
  {
    what: "processor time a call at 128, both sides, in µs",
    atMost: 6,
    ...figure("micro-es", small(128), "cpuUsPerOperation"),
  },
  {
    what: "64 KiB, 16 in flight, of raw TCP",
    atLeast: 0.9,
    ...faster("micro-es", "raw-tcp", ["unary", 65_536, 16]),
  },
  {
    what: "server streaming, times grpc-js",
    atLeast: 15,
    ...faster("micro-es", "grpc-js", ["download", 64, 1]),
  },
  {
    what: "16 bidirectional streams, times grpc-js",
    atLeast: 5,
    ...faster("micro-es", "grpc-js", ["pingpong", 64, 16]),
  },
  {
    what: "1,024 in flight, of 128 in flight",
    atLeast: 0.8,
    ...faster("micro-es", "micro-es", small(1024), small(128)),
  },
  ...[1, 16, 128].map((inFlight) => ({
    what: `memory, ${inFlight} in flight, times TCP`,
    atLeast: 3,
    ...faster("micro-es-memory", "micro-es", small(inFlight)),
  })),
  {
    what: "events of the default broker, times Moleculer",
    atLeast: 2.5,
    ...faster("micro-es-events", "moleculer-tcp", events),
  },
  {
    what: "events of the default broker, times NestJS",
    atLeast: 10,
    ...faster("micro-es-events", "nest-tcp", events),
  },
  {
    what: "events of the default broker, times HTTP delivery",
    atLeast: 25,
    ...faster("micro-es-events", "micro-es-events-http", events),
  },
  {
    what: "processor time an event of the default broker, both sides, in µs",
    atMost: 10,
    ...figure("micro-es-events", events, "cpuUsPerOperation"),
  },
  {
    what: "events on core NATS, of nats.js alone",
    atLeast: 0.7,
    ...faster("micro-es-events-nats", "nats", events),
  },
  {
    what: "processor time an event of the memory broker, in µs",
    atMost: 1.5,
    ...figure("micro-es-events-memory", events, "cpuUsPerOperation"),
  },
  ...grpcGoals,
];

/** The contenders to measure for {@link goals}. */
export const goalContenders: readonly string[] = [
  ...new Set(goals.flatMap(({ needs }) => needs.map(([contender]) => contender))),
];

/** Whether a goal needs this contender here, or any contender if none is named. */
export function isNeeded(
  { suite, bytes, inFlight }: Pick<Row, "suite" | "bytes" | "inFlight">,
  name?: string,
): boolean {
  return goals.some(({ needs }) =>
    needs.some(
      ([contender, cell]) =>
        (name === undefined || contender === name) &&
        cell[0] === suite &&
        cell[1] === bytes &&
        cell[2] === inFlight,
    ),
  );
}

/** Prints each goal with the figure reached; true if all are met. */
export function printGoals<R>(rows: readonly R[], list: readonly Goal<R>[]): boolean {
  let all = true;
  for (const { what, atLeast, atMost, measure } of list) {
    const value = measure(rows);
    const reached =
      value !== undefined &&
      value >= (atLeast ?? 0) &&
      value <= (atMost ?? Number.POSITIVE_INFINITY);
    all &&= reached;
    const goal = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
    console.log(
      `${reached ? "reached" : "MISSED "}  ${what}: ${value?.toPrecision(3) ?? "not measured"} (${goal})`,
    );
  }
  return all;
}
