#!/bin/sh
# One image for every role and every task of deno.json that makes sense on a server:
#   server | role NAME | task NAME [ARGUMENT…]
# A name alone is the role or task of that name. `jobs` and `kv` are both: alone they are the role, with arguments the
# task. Use `role` and `task` where that matters.
set -eu
cd "$(dirname "$0")/.."

# What each is for: docs/decisions/0021-permissions.md.
run() {
  # --cached-only: a file that is missing in the image must not be loaded from the network at its start.
  exec deno run --cached-only --no-prompt --allow-net --allow-read --allow-env --allow-ffi \
    --allow-sys=hostname,uid --allow-write="${DATA_DIR:-/data},${TMPDIR:-/tmp}" --allow-run="$(deno_itself),sh,setpriv" "$@"
}

deno_itself() {
  deno eval --no-config 'console.log(Deno.execPath())'
}

# What docker/healthcheck.sh asks in this container. Without the file, as for a task, there is nothing to check.
check() {
  { echo "$@" >"${TMPDIR:-/tmp}/rookery-check"; } 2>/dev/null || true
}

role() {
  name=$1
  shift
  case "$name" in
    server) check http "${PORT:-8000}" /readyz ;;
    kv) check http "${PORT:-8000}" /readyz ;;
    storage)
      export STORAGE_PORT="${STORAGE_PORT:-8100}"
      check http "$STORAGE_PORT" /healthz
      ;;
    stats)
      export STATS_PORT="${STATS_PORT:-8200}"
      check http "$STATS_PORT" /healthz
      ;;
    mail) check banner "${MAIL_PORT:-2525}" 220 ;;
    jobs)
      # It answers nobody else.
      export METRICS_PORT="${METRICS_PORT:-9464}"
      check http "$METRICS_PORT" /healthz
      ;;
    *) refuse "There is no role \"$name\"" ;;
  esac
  [ "$name" != server ] || run main.ts "$@"
  [ $# -eq 0 ] || refuse "The role \"$name\" takes no arguments"
  export ROLES="$name"
  run main.ts
}

task() {
  name=$1
  shift
  case "$name" in
    start) role server "$@" ;;
    admin | backup | completions | demo | jobs | keys | kv | listen | migrate | restore | upgrade)
      run "tasks/$name.ts" "$@"
      ;;
    moderation:verify | stats:rebuild | storage:scrub | vk:fake) run "tasks/$(echo "$name" | tr : _).ts" "$@" ;;
    *) refuse "There is no task \"$name\" in the image" ;;
  esac
}

refuse() {
  cat >&2 <<END
$1. Expected one of:
  server
  role jobs|storage|stats|kv|mail
  task admin|backup|completions|demo|jobs|keys|kv|listen|migrate|moderation:verify|restore|start|stats:rebuild|storage:scrub|upgrade|vk:fake
"role" and "task" may be omitted; jobs and kv are then the role without arguments, and the task with arguments.
END
  exit 2
}

name=${1:-server}
[ $# -gt 0 ] && shift
case "$name" in
  role | task)
    [ $# -gt 0 ] || refuse "\"$name\" needs a name"
    "$name" "$@"
    ;;
  server | storage | stats | mail) role "$name" "$@" ;;
  jobs | kv) if [ $# -eq 0 ]; then role "$name"; else task "$name" "$@"; fi ;;
  *) task "$name" "$@" ;;
esac
