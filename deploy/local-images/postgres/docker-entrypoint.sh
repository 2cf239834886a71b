#!/bin/sh
# The part of the public image's entry point that the suite uses: an empty PGDATA becomes a cluster with the password of
# POSTGRES_PASSWORD_FILE and the scripts of /docker-entrypoint-initdb.d, then the server runs as this process.
set -eu
if [ "${1:-postgres}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    # shellcheck disable=SC2086 # words
    initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-} >/dev/null
    shift || true
    options=""
    for word; do options="$options '$word'"; done
    pg_ctl -D "$PGDATA" -w -o "$options -c listen_addresses=''" start >/dev/null
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh) . "$script" ;;
            *.sql) psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --no-password -f "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
    set -- postgres "$@"
fi
exec "$@"
