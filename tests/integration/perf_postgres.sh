#!/bin/sh
# perf_postgres - the floors of nextorm-perf on PostgreSQL run, answer rightly and report what they promise; nothing stays behind.
#
#     tests/integration/perf_postgres.sh BUILD/perf/nextorm-perf
set -eu

program=${1:?the path of nextorm-perf is missing}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
chmod 755 "$directory" # the server may run as another user
mkdir "$directory/servers"
chmod 777 "$directory/servers"

"$program" --provider postgres --workload all --rows 2000 --rounds 1 --floor-only --json --dir "$directory/servers" >"$directory/report"

python3 - "$directory/report" <<'END'
import json
import sys

measured = {"floor_s", "libpq_s", "floor_cpu_us_per_op", "libpq_cpu_us_per_op"}
unknown = {"engine_s", "ratio", "ratio_min", "ratio_max", "ratio_libpq", "engine_cpu_us_per_op", "host_allocs_per_op", "enters_per_op"}
context = {"workload", "provider", "rounds", "provider_version", "nextorm_version", "commit", "kernel", "cpus"}
single = {"ops", "connections", "depth", "floor_p50_us", "floor_p99_us", "libpq_p50_us", "libpq_p99_us"}
many = {"ops", "in_flight", "connections", "depth"}
own = {
    "insert": {"rows"},
    "bulk": {"rows", "floor_method"},
    "copy": {"rows", "floor_method"},
    "update": {"rows", "floor_method"},
    "fetch": {"rows", "walk_s", "walk_cpu_us_per_op", "libpq_whole_s", "libpq_whole_cpu_us_per_op"},
    "fetch-map": {"rows", "walk_s", "walk_cpu_us_per_op"},
    "get 1x1": single,
    "get 1x64": many | {"floor_sync_each_s"},
    "get 8x1": many,
    "get 32x1": many,
    "get 8x16": many | {"floor_sync_each_s", "floor_sync_each_cpu_us_per_op"},
    "commits on 64x1": many,
    "commits off 1x1": single,
    "commits on 1x1": single,
    "stream": {"rows"},
}
seen, last_get = set(), None
with open(sys.argv[1]) as report:
    for line in report:
        result = json.loads(line)
        name = " ".join([result["workload"]] + [result[key] for key in ("synchronous",) if key in result])
        if "connections" in result:
            name += " %dx%d" % (result["connections"], result["depth"])
            assert result["in_flight"] == result["connections"] * result["depth"], name
        if result["workload"] == "get":
            last_get = name
        assert name not in seen, "%s: reported twice" % name
        seen.add(name)
        missing = (measured | unknown | context | own[name]) - set(result)
        assert not missing, "%s: without %s" % (name, sorted(missing))
        assert result["floor_s"] > 0 and result["libpq_s"] > 0, "%s: no time passed" % name
        for key in unknown:
            assert result[key] is None, "%s: %s is %r though the engine did not run" % (name, key, result[key])
assert seen == set(own), "not reported: %s" % sorted(set(own) - seen)
assert last_get == "get 8x16", last_get
print("perf_postgres: %d objects" % len(seen))
END

gone() {
    for turn in $(seq 100); do
        [ -z "$(ls "$directory/servers")" ] && return 0
        sleep 0.1
    done
    echo "perf_postgres: $1 left $(ls "$directory/servers")" >&2
    return 1
}
gone "a whole run"

# A program that is killed leaves no server behind.
"$program" --provider postgres --run "touch '$directory/running'; sleep 60" --dir "$directory/servers" &
measuring=$!
while [ ! -e "$directory/running" ]; do sleep 0.1; done
socket=$(ls "$directory"/servers/*/.s.PGSQL.5432)
[ -S "$socket" ]
kill -KILL "$measuring"
wait "$measuring" 2>/dev/null || true
gone "a killed program"

# What cannot be reached is told.
status=0
"$program" --provider postgres --url "host=$directory/none" >/dev/null 2>"$directory/errors" || status=$?
[ "$status" = 1 ] && grep -q "$directory/none" "$directory/errors"
for wrong in "--provider sqlite --url x" "--provider sqlite --run true"; do
    status=0
    # The words are separate arguments on purpose.
    # shellcheck disable=SC2086
    "$program" $wrong >/dev/null 2>&1 || status=$?
    [ "$status" = 2 ] || { echo "perf_postgres: $wrong: status $status, not 2" >&2; exit 1; }
done
