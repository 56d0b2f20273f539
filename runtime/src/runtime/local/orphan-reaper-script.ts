/**
 * Ends the services of a runtime whose process has died, by whatever signal. It is a shell script:
 * a shell exists on every Linux and macOS and takes a megabyte.
 *
 * It reads from a pipe whose other end the runtime holds: a mark, then `+group` and `-group` as
 * process groups start and end. The end of the pipe means that the runtime is gone. The script then
 * asks the leader of each group to stop, or the rest of the group if the leader is gone, and after
 * the grace period kills everything that is left and everything with the mark.
 *
 * Argument: the grace period in tenths of a second.
 */
export const guardScript = `
trap '' HUP INT TERM
read -r mark || exit 0
groups=' '
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
tenths=$1
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
