#!/bin/sh
# Replaces the containers of a service one by one, without an interruption: starts a new one, waits until it is ready,
# stops an old one. The new ones have the image and the settings of now, so this is also how an upgrade is rolled out.
#   docker/rolling_restart.sh [SERVICE]
# The service is `api` unless another is named. If a new container does not become ready, it is removed, and the old ones
# go on. Run it where `docker compose` reaches the installation.
set -eu
cd "$(dirname "$0")/.."

SERVICE=${1:-api}
READY_S=${READY_S:-120}
# The proxy asks each node twice a second, after it has found its address.
PROXY_S=${PROXY_S:-3}

running() {
  docker compose ps --quiet "$SERVICE"
}

is_ready() {
  [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

old=$(running)
[ -n "$old" ] || {
  echo "No container of \"$SERVICE\" runs; start it with: docker compose up --detach $SERVICE" >&2
  exit 1
}
count=$(echo "$old" | wc -l)

for each in $old; do
  before=$(running)
  docker compose up --detach --no-build --no-deps --no-recreate --scale "$SERVICE=$((count + 1))" "$SERVICE"
  new=$(running | grep --invert-match --fixed-strings "$before" || true)
  [ -n "$new" ] || {
    echo "No new container of \"$SERVICE\" was started" >&2
    exit 1
  }
  waited=0
  until is_ready "$new"; do
    waited=$((waited + 1))
    if [ "$waited" -gt "$READY_S" ]; then
      echo "$new is not ready after $READY_S seconds; it is removed, and $each goes on. Its last words:" >&2
      docker logs --tail 20 "$new" >&2 || true
      docker rm --force "$new" >/dev/null
      exit 1
    fi
    sleep 1
  done
  sleep "$PROXY_S"
  # It gets its stop_grace_period: it gives its actors to the others and asks its live sockets to reconnect.
  docker stop "$each" >/dev/null
  docker rm "$each" >/dev/null
  echo "$each was replaced by $new"
done
