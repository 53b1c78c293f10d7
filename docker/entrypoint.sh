#!/bin/sh
# One image for every role and every task: `server` (ROLES says which roles), a role by its name, or a task by its name.
# `jobs` and `kv` are both: without arguments the role, with arguments the task.
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

name=${1:-server}
[ $# -gt 0 ] && shift
case "$name" in
  server | start) run main.ts "$@" ;;
  jobs | storage | stats | kv | mail)
    if [ $# -eq 0 ]; then
      export ROLES="$name"
      run main.ts
    fi
    case "$name" in
      jobs | kv) run "tasks/$name.ts" "$@" ;;
    esac
    echo "The role \"$name\" takes no arguments" >&2
    exit 2
    ;;
  admin | backup | demo | keys | listen | migrate | restore | upgrade) run "tasks/$name.ts" "$@" ;;
  moderation:verify | stats:rebuild | storage:scrub | vk:fake) run "tasks/$(echo "$name" | tr : _).ts" "$@" ;;
  *)
    cat >&2 <<END
Unknown name "$name". Expected one of:
  server, jobs, storage, stats, kv, mail
  admin, backup, demo, jobs <command>, keys, kv <command>, listen, migrate, restore, upgrade,
  moderation:verify, stats:rebuild, storage:scrub, vk:fake
END
    exit 2
    ;;
esac
