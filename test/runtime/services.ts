/** Services as unpleasant as they come, for a POSIX shell; each says a line when all of it runs. */
export const unpleasant: Readonly<Record<string, string>> = {
  plain: "echo up; exec sleep 1000",
  "deaf to SIGTERM": "trap '' TERM; echo up; while :; do sleep 0.1; done",
  "with children": "sleep 1000 & sleep 1000 & echo up; wait",
  // The way of daemons: fork twice, and a session of one's own in between.
  "with a daemon": "(setsid sh -c 'sleep 1000 & echo up' &); exec sleep 1000",
  "with a deaf daemon":
    "(setsid sh -c 'trap \"\" TERM HUP; (while :; do sleep 0.1; done) & echo up' &); exec sleep 1000",
};

/** By what the command of a guard is recognized. */
export const inGuardScript = "trap '' HUP";
