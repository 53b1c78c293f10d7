/**
 * A small shell between this process and Postgres, which does not notice when its parent exits. It stops Postgres when
 * its standard input ends, so that a killed Rookery leaves no server behind. A line on its input requests an orderly
 * shutdown.
 */
const SCRIPT = `
library=$1 log=$2
shift 2
exec 3<&0 </dev/null
# Here, as some shells are started without them.
export LD_LIBRARY_PATH="$library" DYLD_LIBRARY_PATH="$library"
"$@" >>"$log" 2>&1 3<&- &
server=$!
{
  if read -r _ <&3; then
    kill -INT $server
    read -r _ <&3
  fi
  kill -QUIT $server
} 2>/dev/null &
watcher=$!
wait $server
code=$?
kill -KILL $watcher 2>/dev/null
wait $watcher 2>/dev/null
exit $code
`;

/** The arguments of `sh`. The output of Postgres is appended to `log`. */
export function guardArguments(libraryPath: string, log: string, command: readonly string[]): string[] {
  return ["-c", SCRIPT, "rookery-postgres", libraryPath, log, ...command];
}

/** The same for a program that exits by itself. */
export function initialiseArguments(libraryPath: string, command: readonly string[]): string[] {
  const script = `export LD_LIBRARY_PATH="$1" DYLD_LIBRARY_PATH="$1"; shift; exec "$@"`;
  return ["-c", script, "rookery-initdb", libraryPath, ...command];
}
