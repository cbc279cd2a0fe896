#!/bin/sh
# perf_smoke - every workload of nextorm-perf runs, answers rightly and reports what it promises; small and quick.
#
#     tests/integration/perf_smoke.sh BUILD/perf/nextorm-perf
set -eu

program=${1:?the path of nextorm-perf is missing}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

"$program" --provider sqlite --workload all --rows 2000 --rounds 1 --json --dir "$directory" >"$directory/report"

python3 - "$directory/report" <<'END'
import json
import sys

figures = {"engine_s", "floor_s", "ratio", "ratio_min", "ratio_max", "engine_cpu_us_per_op", "floor_cpu_us_per_op",
           "host_allocs_per_op", "enters_per_op"}
context = {"workload", "provider", "rounds", "provider_version", "nextorm_version", "commit", "kernel", "cpus"}
own = {
    "insert": {"rows", "engine_create_s"},
    "bulk": {"rows", "floor_method"},
    "update": {"rows"},
    "fetch": {"rows", "walk_s", "walk_cpu_us_per_op", "untracked_s", "engine_release_s"},
    "fetch-map": {"rows", "walk_s", "walk_cpu_us_per_op", "engine_release_s"},
    "get 1": {"ops", "table_rows", "floor_autocommit_s"},
    "get 64": {"ops", "table_rows"},
    "commits full": {"ops", "in_flight", "speedup"},
    "commits normal": {"ops", "in_flight", "speedup"},
    "stream": {"rows", "max_rss_mib"},
}
seen = set()
with open(sys.argv[1]) as report:
    for line in report:
        result = json.loads(line)
        name = result["workload"]
        if name == "get":
            name += " %d" % result["in_flight"]
        if "synchronous" in result:
            name += " " + result["synchronous"]
        assert name not in seen, "%s: reported twice" % name
        seen.add(name)
        missing = (figures | context | own[name]) - set(result)
        assert not missing, "%s: without %s" % (name, sorted(missing))
        for key in figures:
            assert isinstance(result[key], (int, float)) and result[key] >= 0, "%s: %s" % (name, key)
        assert result["engine_s"] > 0 and result["floor_s"] > 0, "%s: no time passed" % name
        computed = result["engine_s"] / result["floor_s"]
        assert abs(computed - result["ratio"]) <= 1e-3 * computed, "%s: ratio" % name
        assert result["ratio_min"] <= result["ratio"] * 1.001 <= result["ratio_max"] * 1.002, "%s: range" % name
assert seen == set(own), "not reported: %s" % sorted(set(own) - seen)
print("perf_smoke: %d objects" % len(seen))
END

# Nothing is left behind, and mistakes are told by their exit status.
[ "$(ls "$directory")" = report ]
for wrong in "--provider nosuch" "--workload nosuch" "--rounds 0" "--rows x"; do
    status=0
    # The words are separate arguments on purpose.
    # shellcheck disable=SC2086
    "$program" $wrong --json >/dev/null 2>&1 || status=$?
    [ "$status" = 2 ] || { echo "perf_smoke: $wrong: status $status, not 2" >&2; exit 1; }
done
