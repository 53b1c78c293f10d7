#!/bin/sh
# One image, several roles: `server` (ROLES says which), `jobs`, `storage`, `stats`, `kv`, `mail`, `migrate`, or any task by its name.
set -eu
cd /app

run() {
  # --cached-only: whatever is not in the image must not be fetched when it starts.
  exec deno run --cached-only --no-prompt -A "$@"
}

role=${1:-server}
[ $# -gt 0 ] && shift
case "$role" in
  server) run main.ts "$@" ;;
  jobs | storage | stats | kv | mail)
    export ROLES="$role"
    run main.ts "$@"
    ;;
  migrate | keys | listen | demo | backup | restore | admin) run "tasks/$role.ts" "$@" ;;
  storage:scrub) run tasks/storage_scrub.ts "$@" ;;
  stats:rebuild) run tasks/stats_rebuild.ts "$@" ;;
  *)
    echo "Expected server, jobs, storage, stats, kv, mail, migrate, keys, listen, demo, backup, restore, admin, storage:scrub or stats:rebuild, got \"$role\"" >&2
    exit 2
    ;;
esac
