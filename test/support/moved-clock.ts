import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The wall clock of a server's process, apart from that of the machine. */
export interface MovedClock {
  /** What the process needs to see it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Moves it to this many hours from that of the machine, within a second. */
  move(hours: number): void;
}

/**
 * A clock by libfaketime, for programs that ask the C library for the time. Those in Go do not.
 * @param directory where its state is kept.
 * @throws Error where there is no libfaketime.
 */
export function movedClock(directory: string): MovedClock {
  const file = join(directory, "clock");
  const move = (hours: number) => {
    // It is read at any moment.
    writeFileSync(`${file}.next`, `${hours < 0 ? "" : "+"}${hours}h\n`);
    renameSync(`${file}.next`, file);
  };
  move(0);
  return {
    environment: {
      LD_PRELOAD: libraryPath(),
      FAKETIME_TIMESTAMP_FILE: file,
      // Seconds for which it keeps what it read from the file.
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    move,
  };
}

function libraryPath(): string {
  const folders = ["/usr/lib", ...readdirSync("/usr/lib").map((name) => `/usr/lib/${name}`)];
  const path = folders
    .map((folder) => `${folder}/faketime/libfaketimeMT.so.1`)
    .find((each) => existsSync(each));
  if (path === undefined) throw new Error("libfaketime is not installed: run test/setup");
  return path;
}
