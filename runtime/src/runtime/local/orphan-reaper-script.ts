/**
 * The environment variable by which the guard knows what it guards: the two halves of the mark,
 * then the process groups that run, with spaces in between. The mark is in halves because the guard
 * and what it starts must not carry the mark themselves.
 */
export const guardedVariable = "_MICRO_ES_GUARDED";

/**
 * Ends the services of a runtime whose process has died, by whatever signal. It is a shell script:
 * a shell exists on every Linux and macOS and takes a megabyte.
 *
 * It knows a mark and the process groups that run from its environment, so that it guards them
 * from its first moment. From a pipe whose other end the runtime holds, it reads `+group` and
 * `-group` as groups start and end. The end of the pipe means that the runtime is gone. The script
 * then asks the leader of each group to stop, or the rest of the group if the leader is gone, and
 * after the grace period kills everything that is left and everything with the mark.
 *
 * Argument: the grace period in tenths of a second.
 */
export const guardScript: string = `
trap '' HUP INT TERM
tenths=$1
set -- $${guardedVariable}
mark=$1$2
shift 2
groups=' '
for group in "$@"; do groups="$groups$group "; done
forget() { case $groups in *" $1 "*) groups="\${groups%% $1 *} \${groups#* $1 }";; esac; }
while read -r line; do
  case $line in
    +*) groups="$groups\${line#+} ";;
    -*) forget "\${line#-}";;
  esac
done
marked() {
  if [ -r /proc/self/environ ]; then
    grep -ls -e "$mark" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do echo "$pid"; done
  else
    ps axeww -o pid=,command= | while read -r pid rest; do case $rest in *"$mark"*) echo "$pid";; esac; done
  fi
}
running() {
  for group in $all; do kill -s 0 -- "-$group" 2>/dev/null && return 0; done
  return 1
}
nap() { sleep 0.1 2>/dev/null || sleep 1; }
all=$groups
for group in $all; do kill -s TERM "$group" 2>/dev/null; done
while [ "$tenths" -gt 0 ] && running; do
  for group in $groups; do
    kill -s 0 "$group" 2>/dev/null && continue
    kill -s TERM -- "-$group" 2>/dev/null
    forget "$group"
  done
  nap
  tenths=$((tenths - 1))
done
tries=20
while [ "$tries" -gt 0 ]; do
  left=$(marked)
  [ -n "$left" ] || running || break
  for group in $all; do kill -s KILL -- "-$group" 2>/dev/null; done
  for pid in $left; do kill -s KILL "$pid" 2>/dev/null; done
  nap
  tries=$((tries - 1))
done
exit 0
`;
