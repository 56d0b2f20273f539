import type { Suite } from "./contender.ts";
import type { Row } from "./table.ts";

/** A figure that has to be reached, as a ratio within one run: the machine's own speed changes by the hour. */
export interface Goal {
  readonly what: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Undefined when a contender that it needs did not run. */
  measure(rows: readonly Row[]): number | undefined;
}

type Cell = readonly [suite: Suite, bytes: number, inFlight: number];
type Figure = "perSecond" | "cpuUsPerOperation" | "p50Us" | "p99Us";

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

/** How many times as many operations a second one contender does as another. */
function faster(ours: string, theirs: string, cell: Cell, theirCell: Cell = cell): Goal["measure"] {
  return (rows) => {
    const one = find(rows, ours, cell);
    const other = find(rows, theirs, theirCell);
    return one === undefined || other === undefined ? undefined : one.perSecond / other.perSecond;
  };
}

function figure(contender: string, name: Figure, cell: Cell): Goal["measure"] {
  return (rows) => find(rows, contender, cell)?.[name];
}

/** What the native transport has to reach. */
export const goals: readonly Goal[] = [
  {
    what: "128 in flight, times grpc-js",
    atLeast: 100,
    measure: faster("micro-es", "grpc-js", small(128)),
  },
  {
    what: "16 in flight, times grpc-js",
    atLeast: 50,
    measure: faster("micro-es", "grpc-js", small(16)),
  },
  {
    what: "1 in flight, times grpc-js",
    atLeast: 5,
    measure: faster("micro-es", "grpc-js", small(1)),
  },
  {
    what: "128 in flight, times Moleculer",
    atLeast: 10,
    measure: faster("micro-es", "moleculer-tcp", small(128)),
  },
  {
    what: "128 in flight, times NestJS",
    atLeast: 10,
    measure: faster("micro-es", "nest-tcp", small(128)),
  },
  {
    what: "128 in flight, of raw TCP, one write a tick",
    atLeast: 0.45,
    measure: faster("micro-es", "raw-tcp", small(128)),
  },
  {
    what: "1 in flight, of raw TCP",
    atLeast: 0.7,
    measure: faster("micro-es", "raw-tcp-plain", small(1)),
  },
  {
    what: "p99 at 128, times p50",
    atMost: 4,
    measure(rows) {
      const row = find(rows, "micro-es", small(128));
      return row === undefined ? undefined : row.p99Us / row.p50Us;
    },
  },
  {
    what: "everything on, 128 in flight, times grpc-js",
    atLeast: 80,
    measure: faster("micro-es-all-on", "grpc-js", small(128)),
  },
  {
    what: "processor time a call at 128, both sides, in µs",
    atMost: 6,
    measure: figure("micro-es", "cpuUsPerOperation", small(128)),
  },
  {
    what: "64 KiB, 16 in flight, of raw TCP",
    atLeast: 0.9,
    measure: faster("micro-es", "raw-tcp", ["unary", 65_536, 16]),
  },
  {
    what: "server streaming, times grpc-js",
    atLeast: 15,
    measure: faster("micro-es", "grpc-js", ["download", 64, 1]),
  },
  {
    what: "16 bidirectional streams, times grpc-js",
    atLeast: 5,
    measure: faster("micro-es", "grpc-js", ["pingpong", 64, 16]),
  },
  {
    what: "1,024 in flight, of 128 in flight",
    atLeast: 0.8,
    measure: faster("micro-es", "micro-es", small(1024), small(128)),
  },
  {
    what: "memory, 1 in flight, times TCP",
    atLeast: 3,
    measure: faster("micro-es-memory", "micro-es", small(1)),
  },
];

/** What {@link goals} are about. */
export const goalContenders: readonly string[] = [
  "grpc-js",
  "micro-es",
  "micro-es-all-on",
  "micro-es-memory",
  "moleculer-tcp",
  "nest-tcp",
  "raw-tcp",
  "raw-tcp-plain",
];

export const goalCells: readonly Cell[] = [
  small(1),
  small(16),
  small(128),
  small(1024),
  ["unary", 65_536, 16],
  ["download", 64, 1],
  ["pingpong", 64, 16],
];

/** Prints each goal with what was reached; true when all are. */
export function printGoals(rows: readonly Row[], list: readonly Goal[] = goals): boolean {
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
